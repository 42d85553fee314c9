"""Takes pairs of large networks through all of stitching, architectures of the zoo with random weights.

    python -m experiments.benchmarks.pairs [--out DIR]

The pairs: ResNet-50 with ResNeXt-50, EfficientNet-B4 with ResNet-152. Matching joins features through which everything
flows (cuts), where it is exact, or features at the ends of all layers, where it stops at a limit of time. What the cuts
give is merged, and one offspring with a stitch in the middle is extracted; its multiply-adds are counted from its
genome and in a trace of the extracted network.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import zoo
from experiments.folder import claim
from experiments.options import parse_benchmark
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
    matchings = {
        over: _timed(stitching.match, *graphs, layers=over == "layers", time_limit=limit) for over in ("cuts", "layers")
    }
    return {
        "inputs": pair.inputs,
        "networks": networks,
        "matching": {
            over: {"seconds": seconds, "pairs": len(found.pairs), "weight": found.weight, "gap": found.gap}
            for over, (found, seconds) in matchings.items()
        },
        "offspring": _offspring(key, matchings["cuts"][0]),
    }


def _offspring(key: jax.Array, matching: stitching.Matching) -> dict[str, Any]:
    """Merges two networks and extracts the offspring that begins as the second and goes on as the first half-way."""
    merged, merging = _timed(stitching.stitch, key, matching)
    space = stitching.switches(merged)
    switches = merged.graph.switches[:-1]
    first = merged.parents[0].name
    mine = [g for g, i in enumerate(switches) if merged.graph.nodes[merged.graph.nodes[i].reads[0]].group == first]
    genome = np.zeros(len(switches) + 1, np.int32)
    genome[mine[len(mine) // 2]] = 1
    child, extraction = _timed(space.decode, space.params, genome)
    return {
        "name": child.name,
        "merge_seconds": merging,
        "extract_seconds": extraction,
        "genes": len(genome),
        "multiply_adds_of_genome": int(space.cost(genome).multiply_adds),
        "multiply_adds_extracted": trace(child).multiply_adds,
        "parameters_of_genome": int(space.cost(genome).parameters),
        "parameters_extracted": trace(child).parameters,
    }


def _read(network: Network) -> NetworkGraph:
    """Traces a network; the cuts are found with it, which otherwise happens when first asked for."""
    graph = trace(network)
    _ = graph.cuts
    return graph


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
    rows = [
        (one["name"], f"{one['merge_seconds']:.2f}", f"{one['extract_seconds']:.2f}", one["multiply_adds_of_genome"],
         one["multiply_adds_extracted"])
        for one in (found["offspring"] for found in results.values())
    ]  # fmt: skip
    table("Offspring", ("offspring", "merge (s)", "extract (s)", "macs of its genome", "macs extracted"), rows)
    for one in (found["offspring"] for found in results.values()):
        if one["multiply_adds_of_genome"] != one["multiply_adds_extracted"]:
            raise SystemExit(f"{one['name']}: multiply-adds of genome and extracted network differ")


def main() -> None:
    """Runs the benchmark."""
    options = parse_benchmark("pairs", __doc__ or "")
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
