"""From examples to embeddings: backbones, tails, and features computed once."""
