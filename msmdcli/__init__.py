"""MSMD: voice lines to facial animation in a chosen performance style. The command line and the ONNX runtime."""

__version__ = "0.1.0"
