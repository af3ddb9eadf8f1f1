"""Read, check, run and rewrite ONNX graphs as such: nothing of medicine."""
