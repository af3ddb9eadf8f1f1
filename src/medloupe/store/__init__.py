"""Versions of models on disk and in the database, and which one is in production."""
