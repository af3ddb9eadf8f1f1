"""Fine-tune the upper stages of a network, or all of it."""
