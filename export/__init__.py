"""The compiler: ONNX to graph, plan and bundle."""
