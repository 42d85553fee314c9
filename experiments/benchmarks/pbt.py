"""Trains 8 small GANs over 10 steps of PBT-NAS, with architectures that change, in three ways.

    python -m experiments.benchmarks.pbt [--gradient-steps N ...] [--out DIR]

One by one: members one after another, each architecture compiled when it appears as JAX compiles everything, which is
the published way without its processes and files. Ours specialised: programs of the same functions, compiled as
`training.population` does by default, members on one thread more than there are processors. Ours masked: one program
for all. On an accelerator the masked members lie side by side instead. All three see the same selection: fitness is
drawn beforehand, so that the same members are replaced. A ratio of steady states compares the first steps of a second
run, in which nothing is compiled.
"""

import argparse
import os
import time
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from experiments.folder import claim
from experiments.options import at_least_1, parse_benchmark
from experiments.pbt_gan.chains import chains
from experiments.report import table, versions, write_json
from experiments.resizing import resized
from jaxevo import data, pbt, search, training
from jaxevo.data import Split
from jaxevo.network import Member

MEMBERS, STEPS, BATCH, WIDTH = 8, 10, 32, 8

#: Steps of the second run, in which nothing is compiled.
STEADY = 5

#: Gradient steps between two replacements.
GRADIENT_STEPS = (50, 200)

TITLES = {
    "one_by_one": "one by one, compiled when it appears",
    "population": "specialised, on all processors",
    "masked": "masked, one program",
}


class Timed(NamedTuple):
    """What one way took.

    seconds: of the whole run.
    steady: of the first `STEADY` steps of a second run.
    training: seconds of the whole run in which members were trained; the rest is selection, mixing and bookkeeping.
    programs: how many were compiled.
    compile_seconds: of that, threads added up.
    genomes: of the last population.
    """

    seconds: float
    steady: float
    training: float
    programs: int
    compile_seconds: float
    genomes: np.ndarray


class _Drawn:
    """Trains members and scores them by numbers that were drawn beforehand."""

    objectives = ("drawn",)

    def __init__(self, fit: training.PopulationFit):
        self._fit = fit

    def __call__(self, key: jax.Array, params: Any, members: Member) -> tuple[Member, np.ndarray]:
        """Trains and scores."""
        del params
        fitted = self._fit(key, members)
        return fitted.members, np.random.default_rng(np.asarray(jax.random.key_data(key))).random((MEMBERS, 1))


def timed(way: str, split: Split, gradient_steps: int) -> Timed:
    """Runs one way from cold.

    Args:
      way: one of `TITLES`.
      split: `BATCH` examples for each gradient step of an epoch.
      gradient_steps: between two replacements.
    """
    jax.clear_caches()
    architecture = chains(1, WIDTH)
    space = pbt.layers(architecture)
    learner = training.adversarial(pbt.game(architecture), optax.adamw(1e-3, 0.0, 0.9, 1e-4, weight_decay=0.0))
    settings: dict[str, Any] = {
        "one_by_one": {"threads": 1, "compact": True, "brief": False, "layout": "steps"},
        "population": {"compact": True, "layout": "steps"},
        "masked": {"compact": False, "layout": "steps" if jax.default_backend() == "cpu" else "abreast"},
    }[way]
    epochs = gradient_steps * BATCH // len(split)

    def run(steps: int) -> tuple[float, search.Result, training.PopulationFit]:
        fit = training.population(space, learner, split, epochs=epochs, batch=BATCH, **settings)
        strategy = search.replace_worst(space, MEMBERS, begin=learner.begin)
        start = time.perf_counter()
        found = search.run(jax.random.key(0), strategy, _Drawn(fit), steps, progress=False)
        return time.perf_counter() - start, found, fit

    seconds, found, fit = run(STEPS)
    report = fit.report()
    steady, _, _ = run(STEADY)
    return Timed(
        seconds, steady, report["training_seconds"], int(report["programs"]), report["compile_seconds"],
        np.asarray(found.population.genomes.genome),
    )  # fmt: skip


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--gradient-steps", type=at_least_1, nargs="+", metavar="N", default=list(GRADIENT_STEPS),
        help="gradient steps between two replacements (default: %(default)s)",
    )  # fmt: skip


def main() -> None:
    """Measures, prints a table and writes `result.json`."""
    options = parse_benchmark("pbt", __doc__ or "", more=_more)
    dataset = data.load("mnist5k")
    unit = int(np.gcd.reduce(options.gradient_steps))
    rows = np.resize(np.arange(len(dataset.train)), unit * BATCH)
    pictures = dataset.train.inputs[rows]
    scaled = 2 * (pictures - pictures.min()) / np.ptp(pictures) - 1
    split = Split(resized(scaled, 16), dataset.train.labels[rows])
    with claim(options.out, {"gradient_steps": options.gradient_steps}, resume=False):
        ways, ratios = {}, {}
        for count in options.gradient_steps:
            found = {way: timed(way, split, count) for way in TITLES}
            if any((found[way].genomes != found["one_by_one"].genomes).any() for way in TITLES):
                raise RuntimeError("the ways ended with different populations, which must be the same")
            ways[count] = {way: one._asdict() | {"genomes": one.genomes.tolist()} for way, one in found.items()}
            alone, ours, masked = (found[way] for way in TITLES)
            ratios[count] = {
                "one_by_one_over_population": alone.seconds / ours.seconds,
                "one_by_one_over_population_steady": alone.steady / ours.steady,
                "one_by_one_over_masked": alone.seconds / masked.seconds,
                "specialised_over_masked_steady": ours.steady / masked.steady,
                "bookkeeping": 1 - ours.training / ours.seconds,
            }
        named = {
            name: {str(count): ratios[count][name] for count in options.gradient_steps}
            for name in ratios[options.gradient_steps[0]]
        }
        write_json(
            options.out / "result.json",
            {
                "ratios": named, "ways": {str(count): one for count, one in ways.items()},
                "processors": os.cpu_count(), "versions": versions(),
            },
        )  # fmt: skip
    shown = [
        (
            f"{count} steps: {title}",
            f"{ways[count][way]['seconds']:.1f}",
            f"{ways[count][way]['steady'] / STEADY:.2f}",
            ways[count][way]["programs"],
            f"{ways[count][way]['compile_seconds']:.1f}",
        )
        for count in options.gradient_steps
        for way, title in TITLES.items()
    ]
    columns = ("way", "seconds", "a step of PBT, steady", "programs", "compiling, s")
    table(f"{MEMBERS} members, {STEPS} steps of PBT", columns, shown)
    table(
        "ratios", ("ratio", *(f"{count} steps" for count in options.gradient_steps)),
        [(name, *(f"{value:.3f}" for value in values.values())) for name, values in named.items()],
    )  # fmt: skip


if __name__ == "__main__":
    main()
