"""Decode the bytes of a picture to uint8 RGB at the size a network reads."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
