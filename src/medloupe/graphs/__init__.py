"""ONNX graphs as such: nothing of medicine."""
