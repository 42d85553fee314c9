"""Times EfficientNet-Lite0 and ResNet-50 against themselves compacted to half their multiply-adds.

    python -m experiments.benchmarks.pruning [--out DIR] [--repeats N] [--networks NAME ...]

Every group of channels loses the same share, those of smallest weights first, as much as leaves half of the
multiply-adds; widths are rounded up to a multiple of 8. Both sides run as the fast replay has it,
`accelerate(fold(network))`, of which the ratio is, and as plain XLA has it; in turns, on the same pictures. Lite0 has
its trained weights (it needs torch, onnx, onnxscript and its two packages), ResNet-50 of the zoo random ones, which are
as fast. How accurate the half is before it is trained on is not the question here. Processor seconds are there because
on a busy machine those of the clock say little.
"""

import argparse
import pathlib
import statistics
import tempfile
import time
from typing import Any

import jax
import numpy as np

import jaxevo
from experiments import pretrained, zoo
from experiments.folder import claim
from experiments.importing.sources import sources
from experiments.options import at_least_1, parse_benchmark
from experiments.report import table, versions, write_json
from jaxevo import pruning
from jaxevo.graph import accelerate, fold

NETWORKS = ("efficientnet-lite0", "resnet50")
BATCH = 8
SHARE = 0.5
MULTIPLE = 8

#: The ways in which both sides run; the first is what the ratio is of.
WAYS = ("replay", "xla")


def load(name: str) -> jaxevo.Network:
    """Loads one of `NETWORKS`.

    Raises:
      SystemExit: where packages are missing.
    """
    if name not in pretrained.NAMES:
        return zoo.random_network(jax.random.key(0), name)
    missing = pretrained.missing(name)
    if missing:
        raise SystemExit(f"pruning: {name} needs {', '.join(missing)}; install with: pip install {' '.join(missing)}")
    source = next(source for source in sources() if source.name == name)
    with tempfile.TemporaryDirectory() as place:
        return jaxevo.from_onnx(source.write(pathlib.Path(place)))


def measure(network: jaxevo.Network, batch: int, repeats: int) -> dict[str, Any]:
    """Compacts a network to half its multiply-adds and times both, in turns.

    Args:
      network: the network.
      batch: pictures at once.
      repeats: how often each way runs after it was compiled.

    Returns:
      Costs of both, seconds of compaction, medians of the clock and of the processor, ratios, and the largest
      difference between the compacted and the masked network over the largest output.
    """
    started = time.perf_counter()
    space = pruning.channels(network, multiple=MULTIPLE)
    genome = pruning.thin(space, pruning.magnitude(space), SHARE)
    half = space.decode(space.params, genome)
    compaction_seconds = time.perf_counter() - started
    pictures = np.random.default_rng(0).standard_normal((batch, *network.inputs.shape)).astype(np.float32)
    runs = {
        f"{side}_{way}": _compiled(accelerate(fold(one)) if way == "replay" else one)
        for side, one in (("original", network), ("half", half))
        for way in WAYS
    }
    first = {name: run(pictures) for name, run in runs.items()}
    masked = np.asarray(jax.jit(space.apply)(space.params, genome, pictures))
    clock: dict[str, list[float]] = {name: [] for name in runs}
    processor: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            began, worked = time.perf_counter(), time.process_time()
            run(pictures)
            clock[name].append(time.perf_counter() - began)
            processor[name].append(time.process_time() - worked)
    seconds, processor_seconds = ({name: statistics.median(times) for name, times in all_times.items()}
                                  for all_times in (clock, processor))  # fmt: skip
    graphs = {"original": jaxevo.trace(network), "half": jaxevo.trace(half)}
    return {
        "multiply_adds": {side: graph.multiply_adds for side, graph in graphs.items()},
        "parameters": {side: graph.parameters for side, graph in graphs.items()},
        "active_share": float(genome.mean()),
        "compaction_seconds": compaction_seconds,
        "runs": clock,
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "original_over_half": {way: seconds[f"original_{way}"] / seconds[f"half_{way}"] for way in WAYS},
        "processor_original_over_half": {
            way: processor_seconds[f"original_{way}"] / processor_seconds[f"half_{way}"] for way in WAYS
        },
        "difference": float(np.abs(first["half_replay"] - masked).max() / np.abs(masked).max()),
    }


def _compiled(network: jaxevo.Network):
    function, params = jax.jit(network.apply), jax.device_put(network.params)
    return lambda pictures: np.asarray(function(params, pictures))


def _print(found: dict[str, dict[str, Any]]) -> None:
    rows = [
        (
            name, way, *(f"{one['multiply_adds'][side] / 1e6:.0f}" for side in ("original", "half")),
            *(f"{one['seconds'][f'{side}_{way}']:.3f}" for side in ("original", "half")),
            f"{one['original_over_half'][way]:.2f}", f"{one['processor_original_over_half'][way]:.2f}",
            f"{one['difference']:.1e}",
        )
        for name, one in found.items()
        for way in WAYS
    ]  # fmt: skip
    columns = (
        "network", "way", "macs (M)", "half (M)", "original (s)", "half (s)", "original over half", "by processor time",
        "half to masked",
    )  # fmt: skip
    table("Compacted to half the multiply-adds", columns, rows)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", metavar="N", type=at_least_1, default=9, help="turns (default: %(default)s)")
    parser.add_argument(
        "--networks", metavar="NAME", nargs="+", choices=NETWORKS, default=NETWORKS, help="some of them"
    )


def main() -> None:
    """Runs the benchmark."""
    options = parse_benchmark("pruning", __doc__ or "", more=_add_options)
    settings = {"networks": options.networks, "batch": BATCH, "share": SHARE, "repeats": options.repeats}
    found: dict[str, dict[str, Any]] = {}
    with claim(options.out, settings, resume=False) as folder:
        for name in options.networks:
            with folder.phase(name):
                found[name] = measure(load(name), BATCH, options.repeats)
        ratios = {"original_over_half": {name: one["original_over_half"]["replay"] for name, one in found.items()}}
        content = {"benchmark": "pruning", **settings, "networks": found, "ratios": ratios, "versions": versions()}
        write_json(folder.path / "result.json", content)
        _print(found)


if __name__ == "__main__":
    main()
