from .reader import load as load
from .writer import write_onnx as write_onnx
