"""Make the pages for people: one JSON in, one HTML file out that opens offline, prints, and loads nothing."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
