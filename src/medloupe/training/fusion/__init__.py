"""Weigh clinical columns and notes beside the picture."""
