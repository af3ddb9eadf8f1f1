"""Encode what is read beside the picture as numbers that are 0 where nothing is known."""
