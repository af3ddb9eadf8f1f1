"""Keep versions of models on disk and in a database."""
