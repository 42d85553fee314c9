"""ONNX files in and out: our own importer and exporter, tables of operators and of primitives, without onnxruntime."""

from jaxevo.interop.onnx.exporting import to_onnx
from jaxevo.interop.onnx.importing import from_onnx

__all__ = ["from_onnx", "to_onnx"]
