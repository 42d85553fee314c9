"""Runs the node cases of the `onnx` package through the importer.

    python -m tests.interop.conformance [--only WORD ...]

Every case of the package's own backend test for ONNX's default domain is one model of few nodes with inputs and the
outputs that are expected. In scope are those over floating-point numbers, integers and booleans, but those of training,
sequences, optionals, strings, random numbers and shapes that depend on values: a compiled network has none of these.
The cases feed everything as an input, shapes and axes too. What an operator must know before the network runs
(`jaxevo.interop.onnx.parameters.SETTINGS`, with all that it is computed from) is fed as a tensor of the model, the rest
as traced arguments of a compiled function.
"""

import argparse
import collections
import importlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.interop.onnx import operators as _operators  # noqa: F401  # enters the operators into the table
from jaxevo.interop.onnx.dtypes import canonical
from jaxevo.interop.onnx.graphs import live
from jaxevo.interop.onnx.parameters import settings
from jaxevo.interop.onnx.parsing import graph_of
from jaxevo.interop.onnx.reading import read
from jaxevo.interop.onnx.running import check_known, fold, run

#: Operators that put a case out of scope, by the reason.
OUT = {
    "random numbers": {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform"}
    | {"RandomUniformLike"},
    "shapes that depend on values": {"Compress", "NonMaxSuppression", "NonZero", "Unique"},
    "strings": {"ImageDecoder", "RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer"},
    "training": {"Adagrad", "Adam", "Gradient", "Momentum"},
    "sequences and optionals": {"ConcatFromSequence", "Optional", "OptionalGetElement", "OptionalHasElement"}
    | {"SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength"}
    | {"SequenceMap", "SplitToSequence"},
}


class Report(NamedTuple):
    """What came of the cases.

    passed: names of the cases that passed.
    failed: name -> what went wrong.
    out: reason -> number of cases out of scope.
    """

    passed: list[str]
    failed: dict[str, str]
    out: dict[str, int]

    @property
    def share(self) -> float:
        """Share of the cases in scope that passed."""
        return len(self.passed) / max(len(self.passed) + len(self.failed), 1)


def cases() -> list[Any]:
    """Returns all node cases, as the `onnx` package makes them."""
    node = importlib.import_module("onnx.backend.test.case.node")
    # The package's own code divides by zero and overflows where a case is about that.
    with np.errstate(all="ignore"):
        return node.collect_testcases(None)


def reason(case: Any) -> str | None:
    """Returns why a case is out of scope, None where it is in scope."""
    nodes = list(_nodes(case.model.graph))
    if any(node.domain not in ("", "ai.onnx") for node in nodes):
        training = any("training" in node.domain for node in nodes)
        return "training" if training else "other domains"
    found = {node.op_type for node in nodes}
    for why, names in OUT.items():
        if found & names:
            return why
    values = [*case.model.graph.input, *case.model.graph.output]
    if any(value.type.WhichOneof("value") != "tensor_type" for value in values):
        return "sequences and optionals"
    if any(value.type.tensor_type.elem_type == 8 for value in values):
        return "strings"
    if "training" in case.name or "train" in case.name.split("_"):
        return "training"
    return None


def check(case: Any) -> None:
    """Runs a case; raises where it does not give what is expected."""
    file = read(case.model)
    graph = live(graph_of(file))
    check_known(graph)
    nodes = [node for part in graph.walk() for node in part.nodes]
    needed = settings(nodes)
    for sets in case.data_sets:
        inputs, expected = ([_array(value) for value in values] for values in sets)
        given = dict(zip([value.name for value in case.model.graph.input], inputs, strict=False))
        fixed = {name: value for name, value in given.items() if name in needed}
        traced = {name: value for name, value in given.items() if name not in needed}
        whole = graph_with(graph, fixed)
        folded = fold(whole, ())

        def outputs(arrays, folded=folded):
            return [jnp.asarray(v) for v in run(folded, [arrays.get(name) for name in folded.inputs], {})]

        arrays = {name: value.astype(canonical(value.dtype)) for name, value in traced.items()}
        results = jax.jit(outputs)(arrays)
        for result, wanted in zip(results, expected, strict=True):
            _compare(np.asarray(result), wanted, case)


def graph_with(graph: Any, tensors: dict[str, np.ndarray]) -> Any:
    """Returns a graph in which some inputs are tensors of its own."""
    kept = tuple(name for name in graph.inputs if name not in tensors)
    return graph.__class__(graph.nodes, kept, graph.outputs, {**graph.initialisers, **tensors}, graph.constants)


def conform(found: list[Any], say: Callable[[str], None] = lambda _: None) -> Report:
    """Runs cases and says what came of them.

    Args:
      found: the cases.
      say: is told of every failure as it comes.
    """
    passed, failed, out = [], {}, collections.Counter()
    for case in found:
        why = reason(case)
        if why is not None:
            out[why] += 1
            continue
        try:
            check(case)
        except Exception as error:  # whatever a case raises is its result
            failed[case.name] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            say(f"failed {case.name}: {failed[case.name]}")
        else:
            passed.append(case.name)
    return Report(passed, failed, dict(out))


def _array(value: Any) -> np.ndarray:
    """Returns a value of a case; those of types that numpy lacks are tensors of the `onnx` package."""
    if isinstance(value, importlib.import_module("onnx").TensorProto):
        return importlib.import_module("onnx.numpy_helper").to_array(value)
    return np.asarray(value)


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


def _compare(result: np.ndarray, wanted: np.ndarray, case: Any) -> None:
    assert result.dtype == canonical(wanted.dtype), f"type {result.dtype}, expected {wanted.dtype}"
    assert result.shape == wanted.shape, f"shape {result.shape}, expected {wanted.shape}"
    if wanted.dtype.kind in "bui":
        np.testing.assert_array_equal(result, wanted)
    else:
        wide = np.complex128 if wanted.dtype.kind == "c" else np.float64
        np.testing.assert_allclose(result.astype(wide), wanted.astype(wide), rtol=case.rtol, atol=case.atol)


def main() -> None:
    """Runs all cases, or some, and prints what came of them."""
    parser = argparse.ArgumentParser(
        "python -m tests.interop.conformance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--only", metavar="WORD", nargs="*", help="run cases whose names hold one of these words")
    options = parser.parse_args()
    found = [case for case in cases() if not options.only or any(word in case.name for word in options.only)]
    report = conform(found, lambda line: print(line, flush=True))
    for why, count in sorted(report.out.items()):
        print(f"out of scope, {why}: {count}")
    print(f"{len(report.passed)} passed, {len(report.failed)} failed ({report.share:.1%} of those in scope)")


if __name__ == "__main__":
    main()
