"""Scores one generation of NSGA-II on the main job's pair of networks four ways, on the same images.

    python -m experiments.benchmarks.sharing [--out DIR] [--run DIR] [--resume]

The ways: one compiled program per network (the published way), one program that computes everything and masks, compiled
segments without sharing, compiled segments with sharing. All are given the same distinct networks; duplicates are
removed beforehand.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import multiprocessing
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.least import Count, count, stitches
from experiments.benchmarks.ways import TIMED, WAYS, Problem, Timing
from experiments.folder import RunFolder, claim
from experiments.options import parse_benchmark
from experiments.report import table, versions, write_json
from experiments.stitching.pipeline import objectives, stitched, trained
from experiments.stitching.presets import PRESETS, Settings, settings_of
from jaxevo import data, evaluation, search, stitching
from jaxevo.data import Split

TITLES = {
    "per_network": "one program per network",
    "masked": "one masked program",
    "segments": "segments, nothing shared",
    "shared": "segments, shared",
}


class Size(NamedTuple):
    """How much is scored.

    population: of NSGA-II; as many genomes are scored.
    generation: the one whose genomes are scored.
    images: how many of the valid split, batch: at a time.
    """

    population: int = 256
    generation: int = 10
    images: int = 1000
    batch: int = 250


class Pair(NamedTuple):
    """The run of the main job whose pair of networks is used.

    settings, seed: of the run.
    path: its folder.
    """

    settings: Settings
    seed: int
    path: pathlib.Path


def benchmark(pair: Pair, size: Size, folder: RunFolder) -> dict[str, Any]:
    """Makes the genomes, times the four ways in a process each, and writes `result.json`.

    Args:
      pair: the main job; parents and stitches are trained where its folder has none.
      size: how much to score.
      folder: of the results.

    Returns:
      What `result.json` holds.

    Raises:
      ValueError: where the valid split holds fewer images than asked for.
    """
    with folder.phase("parents and stitches"):
        merged, split = _restore(pair, size)
    with folder.phase(f"NSGA-II to generation {size.generation}"):
        asked = _asked(pair, size, merged, folder.path / f"generation-{size.generation}")
    genomes = np.unique(np.asarray(jax.vmap(merged.graph.canonical)(jnp.asarray(asked))), axis=0)
    stitched_ones = sum(stitches(merged.graph, genome) > 0 for genome in genomes)
    print(f"{len(asked)} genomes, {len(genomes)} distinct networks, {stitched_ones} of them use a stitch", flush=True)
    timings = {}
    for name in WAYS:
        with folder.phase(TITLES[name]):
            timings[name] = _in_a_process_of_its_own(name, pair, size, genomes)
    work, adds = count(merged.graph, genomes)
    result = {
        "benchmark": "sharing",
        "data": pair.settings.data,
        "seed": pair.seed,
        "settings": dataclasses.asdict(pair.settings),
        **size._asdict(),
        "genomes": len(asked),
        "distinct": len(genomes),
        "distinct_with_stitch": stitched_ones,
        "timed_per_network": min(TIMED, len(genomes)),
        **figures(timings, work, adds, merged, len(genomes), -(-len(split) // size.batch)),
        "versions": versions(),
    }
    write_json(folder.path / "result.json", result)
    _print(result)
    return result


def figures(
    timings: dict[str, Timing], work: Count, adds: Count, merged: stitching.Merged, distinct: int, batches: int
) -> dict[str, Any]:
    """Returns seconds, runs, multiply-adds, memory, ratios and the largest difference of the four ways."""
    seconds = {
        name: {"compile": timing.compile, "run": timing.run, "total": timing.compile + timing.run}
        for name, timing in timings.items()
    }
    everything = distinct * sum(node.multiply_adds for node in merged.graph.nodes)
    multiply_adds = {"per_network": adds.alone, "masked": everything, "segments": adds.alone, "shared": adds.least}

    def ratios(figure):
        return {f"{name}_over_shared": figure(name) / figure("shared") for name in timings if name != "shared"}

    return {
        "seconds": seconds,
        "ratios": ratios(lambda name: seconds[name]["total"]),
        "run_ratios": ratios(lambda name: seconds[name]["run"]),
        "multiply_add_ratios": ratios(lambda name: multiply_adds[name]),
        "multiply_adds_per_image": multiply_adds,
        "runs": {
            **{name: timing.segments for name, timing in timings.items()},
            "without_sharing": work.alone * batches,
            "least": work.least * batches,
        },
        "peak_memory_mb": {name: round(timing.memory / 1e6, 1) for name, timing in timings.items()},
        "max_relative_difference": _difference(timings),
    }


def _difference(timings: dict[str, Timing]) -> float:
    """Returns the largest difference of a network's score by one of the ways from that by `shared`, relative to it.

    A network that fails by both ways (NaN) agrees; NaN comes back where it fails by one of them.
    """
    found = []
    for timing in timings.values():
        expected = timings["shared"].fitness[timing.which]
        both = np.isnan(expected) & np.isnan(timing.fitness)
        scale = np.maximum(np.abs(expected), np.finfo(np.float32).tiny)
        found.append(np.where(both, 0.0, np.abs(timing.fitness - expected) / scale))
    return float(np.max(np.concatenate(found)))


def _restore(pair: Pair, size: Size) -> tuple[stitching.Merged, Split]:
    dataset = data.load(pair.settings.data)
    if len(dataset.valid) < size.images:
        raise ValueError(
            f"sharing: images is {size.images}, but valid of {pair.settings.data!r} holds {len(dataset.valid)}"
        )
    parents = trained(pair.settings, dataset, pair.seed, pair.path)
    merged, _ = stitched(pair.settings, dataset, pair.seed, parents, pair.path)
    return merged, Split(dataset.valid.inputs[: size.images], dataset.valid.labels[: size.images])


def _asked(pair: Pair, size: Size, merged: stitching.Merged, path: pathlib.Path) -> np.ndarray:
    """Returns the genomes that NSGA-II asks for in a generation, after having been told those before."""
    space = stitching.switches(merged, probability=pair.settings.probability)
    strategy, key = search.nsga2(space, size.population), jax.random.key(pair.seed)
    dataset = data.load(pair.settings.data)
    evaluate = evaluation.shared(space, dataset.valid, objectives(pair.settings, dataset))
    result = search.run(key, strategy, evaluate, size.generation - 1, checkpoint=path)
    return np.asarray(strategy.ask(jax.random.fold_in(key, size.generation), result.state))


def _in_a_process_of_its_own(name: str, pair: Pair, size: Size, genomes: np.ndarray) -> Timing:
    """Times a way where no other has compiled anything or taken memory."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
        return executor.submit(_time, name, pair, size, genomes).result()


def _time(name: str, pair: Pair, size: Size, genomes: np.ndarray) -> Timing:
    merged, split = _restore(pair, size)
    return WAYS[name](Problem(merged, genomes, _cover(merged, genomes), split, size.batch))


def _cover(merged: stitching.Merged, genomes: np.ndarray) -> np.ndarray:
    """Returns genomes that together use every segment in use, the one with the most new ones first."""
    paths = [set(merged.graph.path(genome)) for genome in genomes]
    missing, chosen = set().union(*paths), []
    while missing:
        chosen.append(max(range(len(paths)), key=lambda i: len(paths[i] & missing)))
        missing -= paths[chosen[-1]]
    return genomes[chosen]


def _print(result: dict[str, Any]) -> None:
    rows = []
    for name, title in TITLES.items():
        seconds = result["seconds"][name]
        ratio = result["ratios"].get(f"{name}_over_shared", 1.0)
        rows.append(
            (
                title,
                *(f"{seconds[part]:.1f}" for part in ("compile", "run", "total")),
                f"{ratio:.2f}",
                result["runs"][name],
                f"{result['multiply_adds_per_image'][name] / 1e6:.0f}",
                f"{result['multiply_add_ratios'].get(f'{name}_over_shared', 1.0):.2f}",
                f"{result['peak_memory_mb'][name]:.0f}",
            )
        )
    columns = ("way", "compile (s)", "run (s)", "total (s)", "total / shared", "segments run", "macs (M)",
               "macs / shared", "peak memory (MB)")  # fmt: skip
    table(f"{result['distinct']} distinct networks on {result['images']} images", columns, rows)
    print(
        f"one program per network: {result['timed_per_network']} networks drawn at random were timed, and multiplied\n"
        f"segments run with sharing: {result['runs']['shared']}, least possible: {result['runs']['least']}\n"
        f"largest relative difference of accuracy and log-likelihood: {result['max_relative_difference']:.1e}"
    )


def of_run(path: pathlib.Path) -> Pair:
    """Returns the pair of a finished run of the main job.

    Args:
      path: its folder.

    Raises:
      SystemExit: where it holds none.
    """
    if not (path / "result.json").exists():
        raise SystemExit(f"{path} holds no finished run; name the folder of one of experiments.stitching")
    known = json.loads((path / "settings.json").read_text())
    return Pair(settings_of(known), known["seed"], path)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", metavar="DIR", type=pathlib.Path, help="finished run of experiments.stitching to use")


def main() -> None:
    """Runs the benchmark."""
    options = parse_benchmark(
        "sharing", __doc__ or "", resume="keep what the folder holds of parents and genomes", more=_add_options
    )
    pair = Pair(PRESETS["quick"], 0, options.out) if options.run is None else of_run(options.run)
    size = Size()
    identity = {**dataclasses.asdict(pair.settings), "seed": pair.seed, **size._asdict()}
    with claim(options.out, identity, options.resume) as folder:
        benchmark(pair, size, folder)


if __name__ == "__main__":
    main()
