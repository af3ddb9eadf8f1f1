"""Serve trained models as a web page, an API and a service that keeps running; app.py puts the parts together."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
