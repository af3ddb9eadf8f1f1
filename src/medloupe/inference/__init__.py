"""From one example to a Prediction."""
