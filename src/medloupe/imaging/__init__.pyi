from .decode import load as load
