"""Post-training quantization: fp32 ONNX and calibration data -> QDQ ONNX."""
