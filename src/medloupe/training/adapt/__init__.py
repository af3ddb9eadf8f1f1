"""Fit a finished model to local cases."""
