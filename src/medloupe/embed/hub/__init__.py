"""Networks of `transformers`, by name or folder, from safetensors only."""
