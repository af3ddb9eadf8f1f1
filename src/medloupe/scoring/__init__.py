"""Score many files by one model: shards of a table, exactly once, by processes of this machine or a Ray cluster."""
