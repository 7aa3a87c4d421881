"""ONNX's own backend node tests, through compiler and runtime, over opsets 13 to 25."""
