"""One self-contained ONNX file: written, proved, and read trusting nothing."""
