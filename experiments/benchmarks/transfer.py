"""How long transfer takes: ResNet-152 to EfficientNet-B4, and a ranking of 50 sources for one target.

    python -m experiments.benchmarks.transfer [--out DIR]

Alternatives: tracing the networks, which everything else stands on; the matching of layers in order without blocks, and
that of blocks in any order. Weights are random, since what they are costs nothing.
"""

import argparse
import itertools
import pathlib
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import jaxevo
from experiments import zoo
from experiments.report import table, versions, write_json
from jaxevo import transfer
from jaxevo.graph import NetworkGraph

#: Of each measurement the least of so many counts.
REPEATS = 3
SOURCES = 50
#: Published sizes that sources are of, some of them with other depths.
FAMILIES = ("resnet50", "resnet152", "resnext50", "densenet121", "efficientnet_b2", "convnext_tiny", "vit_tiny_16")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        "python -m experiments.benchmarks.transfer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--out", metavar="DIR", type=pathlib.Path, help="folder for result.json")
    options = parser.parse_args()
    tracing, (source, target) = timed(lambda: (traced("resnet152"), traced("efficientnet_b4")), 1)
    params, own = ones(source), ones(target)

    def moved(match: transfer.Match) -> Callable[[], Any]:
        return lambda: jax.block_until_ready(
            transfer.copy_weights(transfer.align(source, target, match=match), params, own, guard=0)
        )

    seconds = {
        "trace both": tracing,
        "align and copy": timed(moved(transfer.by_blocks))[0],
        "layers in order": timed(moved(transfer.flat))[0],
        "blocks in any order": timed(moved(transfer.bipartite))[0],
    }
    print({name: round(one, 2) for name, one in seconds.items()}, flush=True)
    many, sources = timed(lambda: several(SOURCES), 1)
    seconds |= {
        f"trace {SOURCES} sources": many,
        f"rank {SOURCES} sources": timed(lambda: transfer.rank(sources, target))[0],
    }
    table(
        "ResNet-152 to EfficientNet-B4",
        ("what", "processor seconds"),
        [(name, f"{s:.2f}") for name, s in seconds.items()],
    )
    ratios = {
        "trace_over_transfer": seconds["trace both"] / seconds["align and copy"],
        "flat_over_blocks": seconds["layers in order"] / seconds["align and copy"],
        "bipartite_over_blocks": seconds["blocks in any order"] / seconds["align and copy"],
    }
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f}")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        write_json(options.out / "result.json", {"seconds": seconds, "ratios": ratios, "versions": versions()})


def traced(name: str, **sizes: Any) -> NetworkGraph:
    """Returns the graph of a network of the zoo, by name, with shapes for parameters."""
    return jaxevo.trace(zoo.abstract_network(name, **sizes))


def several(count: int) -> list[NetworkGraph]:
    """Returns graphs of that many different architectures."""
    sizes = itertools.cycle((name, zoo.SIZES[name].sizes.get("widths")) for name in FAMILIES)
    found = []
    for index, (name, widths) in zip(range(count), sizes, strict=False):
        factor = 1 + index // len(FAMILIES)
        other = {} if widths is None else {"widths": tuple(width * factor // 2 for width in widths)}
        found.append(traced(name, **other))
    return found


def ones(graph: NetworkGraph) -> Any:
    """Returns parameters that are all one."""
    return jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), graph.network.params)


def timed(call: Callable[[], Any], repeats: int = REPEATS) -> tuple[float, Any]:
    """Returns the least seconds of the processor of some calls, and what the last one returned."""
    seconds, found = [], None
    for _ in range(repeats):
        start = time.process_time()
        found = call()
        seconds.append(time.process_time() - start)
    return min(seconds), found


if __name__ == "__main__":
    main()
