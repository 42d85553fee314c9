"""Reads and matches pairs of large networks, architectures of the zoo with random weights.

    python -m experiments.benchmarks.pairs [--out DIR]

The pairs: ResNet-50 with ResNeXt-50, EfficientNet-B4 with ResNet-152. Matching joins features through which everything
flows (cuts), where it is exact, or features at the ends of all layers, where it stops at a limit of time.
"""

import argparse
import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from experiments import zoo
from experiments.folder import claim
from experiments.report import table, versions, write_json
from jaxevo import stitching, trace
from jaxevo.graph import NetworkGraph
from jaxevo.network import Network

#: Seconds that a matching over all layers may take.
LIMIT = 60.0


class Pair(NamedTuple):
    """Two networks of the zoo, traced at one size so that their features have sizes in common.

    names: named sizes of the zoo.
    inputs: (height, width, channels) of the pictures that both read.
    """

    names: tuple[str, str]
    inputs: tuple[int, int, int]


PAIRS = (
    Pair(("resnet50", "resnext50"), zoo.SIZES["resnet50"].inputs),
    Pair(("efficientnet_b4", "resnet152"), zoo.SIZES["efficientnet_b4"].inputs),
)


def measure(key: jax.Array, pair: Pair, limit: float = LIMIT) -> dict[str, Any]:
    """Takes a pair through all steps, one after the other, in this process.

    Args:
      key: a key, for the weights.
      pair: the two networks.
      limit: seconds that a matching over all layers may take.

    Returns:
      For the pair and each of its networks, seconds by step and what came out.
    """
    graphs, networks = [], {}
    for index, name in enumerate(pair.names):
        network, drawn = _timed(zoo.random_network, jax.random.fold_in(key, index), name, pair.inputs)
        graph, traced = _timed(_read, network)
        graphs.append(graph)
        networks[name] = {
            "weights_seconds": drawn,
            "trace_seconds": traced,
            "multiply_adds": graph.multiply_adds,
            "layers": len(graph.layers),
            "cuts": len(graph.cuts),
        }
    matchings = {over: _match(graphs, layers=over == "layers", time_limit=limit) for over in ("cuts", "layers")}
    return {"inputs": pair.inputs, "networks": networks, "matching": matchings}


def _read(network: Network) -> NetworkGraph:
    """Traces a network; the cuts are found with it, which otherwise happens when first asked for."""
    graph = trace(network)
    _ = graph.cuts
    return graph


def _match(graphs: list[NetworkGraph], **options: Any) -> dict[str, Any]:
    matching, seconds = _timed(stitching.match, *graphs, **options)
    return {"seconds": seconds, "pairs": len(matching.pairs), "weight": matching.weight, "gap": matching.gap}


def _timed(step: Callable[..., Any], *args: Any, **options: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    result = step(*args, **options)
    return result, time.perf_counter() - start


def _print(results: dict[str, dict[str, Any]]) -> None:
    rows = [
        (name, "x".join(map(str, found["inputs"][:2])), f"{one['multiply_adds'] / 1e6:.0f}", one["layers"], one["cuts"],
         f"{one['weights_seconds']:.2f}", f"{one['trace_seconds']:.2f}")
        for found in results.values()
        for name, one in found["networks"].items()
    ]  # fmt: skip
    columns = ("network", "pictures", "macs (M)", "layers", "cuts", "random weights (s)", "trace (s)")
    table("Networks", columns, rows)
    rows = [
        (pair, over, one["pairs"], f"{one['seconds']:.3f}", f"{one['gap']:.1e}")
        for pair, found in results.items()
        for over, one in found["matching"].items()
    ]
    table("Matching", ("pair", "features", "pairs joined", "match (s)", "gap to the best"), rows)


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(
        "python -m experiments.benchmarks.pairs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=pathlib.Path,
        default=pathlib.Path("runs/benchmark-pairs"),
        help="results (default: %(default)s)",
    )
    options = parser.parse_args()
    results = {}
    with claim(options.out, {"pairs": PAIRS, "seed": 0, "limit": LIMIT}, resume=False) as folder:
        for pair in PAIRS:
            title = " with ".join(pair.names)
            with folder.phase(title):
                results[title] = measure(jax.random.key(0), pair)
        ratios = {
            title: {"layers_over_cuts": found["matching"]["layers"]["seconds"] / found["matching"]["cuts"]["seconds"]}
            for title, found in results.items()
        }
        write_json(
            folder.path / "result.json",
            {"benchmark": "pairs", "seed": 0, "pairs": results, "ratios": ratios, "versions": versions()},
        )
        _print(results)


if __name__ == "__main__":
    main()
