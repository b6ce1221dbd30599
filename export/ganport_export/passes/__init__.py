"""ONNX model in, ONNX model out: small passes over `onnx_ir.Model`, all in place and free of PyTorch."""
