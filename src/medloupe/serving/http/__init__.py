"""Requests and responses as such: limits, errors and files."""
