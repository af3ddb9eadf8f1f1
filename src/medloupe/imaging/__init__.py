"""Decode the bytes of a picture to uint8 RGB at the size a network reads."""
