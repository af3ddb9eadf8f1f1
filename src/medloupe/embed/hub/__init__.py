"""Load networks of `transformers`, by name or folder, from safetensors only."""
