"""Answers that people look at again: the review queue, its pages and its API."""
