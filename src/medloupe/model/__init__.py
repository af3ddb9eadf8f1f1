"""What a trained model is: head, card, refusal, heat map. Nothing here trains."""
