"""Routes that speak JSON, and the Open Inference Protocol."""
