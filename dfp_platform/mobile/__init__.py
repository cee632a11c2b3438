"""Weights → artifacts that run elsewhere: exporters, their parity with PyTorch, and what they cost.

Importing this room is cheap: torch, onnx and ONNX Runtime are imported by the functions that need them.
"""
