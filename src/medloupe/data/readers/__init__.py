"""Read files on disk as a Dataset: one reader for each layout."""
