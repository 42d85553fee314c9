"""Imports real networks and compares them with onnxruntime.

    python -m experiments.importing [--out DIR] [--only NAME ...]

The networks: EfficientNet-Lite0 and Lite1 with their trained weights, nine architectures of timm with random weights at
their own sizes, written by PyTorch's exporter with a free batch axis and nothing folded, and files that the `onnx`
package brings. For each: parameters, distinct operators of the file, seconds to import it, the largest difference to
onnxruntime over the largest output, and whether the gradient of the sum of squared outputs is finite in every
parameter. Then the network is written as a file again: how much what onnxruntime makes of that file, and what comes in
from it, differ from the network. A network whose package is missing is listed as not run.
"""
