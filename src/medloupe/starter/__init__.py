"""Offer what is in the box: the shipped networks, heads and check-ups."""
