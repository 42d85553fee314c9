"""ONNX files in: our own importer, a table of operators over jax.numpy and lax, without onnxruntime."""

from jaxevo.interop.onnx.importing import from_onnx

__all__ = ["from_onnx"]
