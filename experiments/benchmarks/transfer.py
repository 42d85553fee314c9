"""How long transfer takes: ResNet-152 to EfficientNet-B4, and a ranking of 50 sources for one target.

    python -m experiments.benchmarks.transfer [--out DIR]

Alternatives: tracing the networks, which everything else stands on; the matching of layers in order without blocks, and
that of blocks in any order. Weights are random, since what they are costs nothing.
"""

import itertools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxevo
from experiments import zoo
from experiments.folder import claim
from experiments.options import parse_benchmark
from experiments.report import table, versions, write_json
from jaxevo import transfer
from jaxevo.graph import NetworkGraph

#: Of each measurement the least of so many counts.
REPEATS = 3
SOURCES = 50
#: Published sizes that sources are of, some of them with other depths.
FAMILIES = ("resnet50", "resnet152", "resnext50", "densenet121", "efficientnet_b2", "convnext_tiny", "vit_tiny_16")


class Seconds(NamedTuple):
    """How long something takes.

    clock: by the clock, which ratios are made of.
    processor: of all cores together; where other work takes the cores, this says more.
    """

    clock: float
    processor: float


def main() -> None:
    """Measures and prints."""
    options = parse_benchmark("transfer", __doc__ or "")
    with claim(options.out, {"sources": SOURCES, "repeats": REPEATS}, resume=False) as folder:
        found = measure()
        write_json(folder.path / "result.json", {"benchmark": "transfer", **found, "versions": versions()})
    rows = [(name, f"{one['clock']:.2f}", f"{one['processor']:.2f}") for name, one in found["seconds"].items()]
    table("ResNet-152 to EfficientNet-B4", ("what", "seconds", "processor seconds"), rows)
    table("ratios", ("what", "value"), [(name, f"{ratio:.2f}") for name, ratio in found["ratios"].items()])


def measure() -> dict[str, Any]:
    """Times everything; returns seconds of each part and their ratios."""
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
    print({name: round(one.clock, 2) for name, one in seconds.items()}, flush=True)
    many, sources = timed(lambda: several(SOURCES), 1)
    seconds |= {
        f"trace {SOURCES} sources": many,
        f"rank {SOURCES} sources": timed(lambda: transfer.rank(sources, target))[0],
    }
    spent = {name: one.clock for name, one in seconds.items()}
    ratios = {
        "trace_over_transfer": spent["trace both"] / spent["align and copy"],
        "flat_over_blocks": spent["layers in order"] / spent["align and copy"],
        "bipartite_over_blocks": spent["blocks in any order"] / spent["align and copy"],
    }
    return {"seconds": {name: one._asdict() for name, one in seconds.items()}, "ratios": ratios}


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


def timed(call: Callable[[], Any], repeats: int = REPEATS) -> tuple[Seconds, Any]:
    """Returns the least seconds of some calls, and what the last one returned."""
    found, result = [], None
    for _ in range(repeats):
        clock, processor = time.perf_counter(), time.process_time()
        result = call()
        found.append(Seconds(time.perf_counter() - clock, time.process_time() - processor))
    return min(found), result


if __name__ == "__main__":
    main()
