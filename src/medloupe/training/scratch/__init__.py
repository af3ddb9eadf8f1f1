"""Train the same network from random weights, to compare."""
