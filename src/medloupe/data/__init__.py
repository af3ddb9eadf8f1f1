"""Read a path as a Dataset, and find its groups and splits."""
