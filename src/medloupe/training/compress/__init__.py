"""Make a model smaller and faster, behind a gate of accuracy."""
