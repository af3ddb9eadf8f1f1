"""Requests and responses as such."""
