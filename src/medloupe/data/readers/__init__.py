"""From files on disk to a Dataset: one reader for each layout."""
