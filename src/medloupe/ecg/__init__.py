"""Read files as an ECG in millivolts, and find its heartbeats."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
