"""Write one self-contained ONNX file, prove it, and read it trusting nothing."""
