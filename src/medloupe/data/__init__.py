"""From a path to a Dataset, its groups and its splits."""
