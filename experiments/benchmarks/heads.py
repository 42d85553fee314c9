"""Trains 30 sparse heads to the published settings in four ways: as published, one by one, by epochs, as a population.

    python -m experiments.benchmarks.heads [--backbone NAME] [--size PIXELS] [--out DIR] [--resume]

Features of EfficientNet-Lite0 for photographs, heads of 512 units, SGD 1e-3 with Nesterov's momentum 0.9, batch 32,
up to 600 epochs, patience 10 (arXiv 2302.10253), at densities drawn from U(0, 1) and at one half. The published way
computes the features of train and valid anew for every head: that is timed once and multiplied, plus the training one
by one; the backbone runs compiled, and beside that also by the library's fast replay, which the published code does not
have. All ways train the same heads, from the same draws and in the same order of examples.
"""

import argparse
import statistics
import time
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from experiments import pretrained
from experiments.folder import claim
from experiments.modules import over_pictures
from experiments.options import at_least_1, parse_benchmark
from experiments.report import table, versions, write_json
from jaxevo import data as datasets
from jaxevo import evaluation, graph, pruning, training
from jaxevo.data import Dataset, Split
from jaxevo.network import Member, Network
from jaxevo.space import Space

#: Published settings, and noise that makes the photographs hard enough for heads to end by early stopping.
NOISE = 1.0
HEADS, HIDDEN, RATE, MOMENTUM, BATCH, EPOCHS, PATIENCE = 30, (512,), 1e-3, 0.9, 32, 600, 10

#: Pictures for each class in train, of which there are a third in valid and in test.
PER_CLASS = 128

#: Pictures whose features are timed, and how many at a time.
TIMED, FEATURE_BATCH = 256, 64

#: Ways that are timed, by their names in `result.json`.
TITLES = {
    "published": "features anew for each head (extrapolated), one by one",
    "published_fast": "the same, features by the fast replay",
    "one_by_one": "features once, one by one",
    "epochs": "features once, one program for each epoch",
    "population": "features once, training.population",
}


class Trained(NamedTuple):
    """What one way gives.

    seconds: by the clock.
    processor_seconds: of all cores together.
    accuracy: of each head on test.
    epochs: of each head.
    """

    seconds: float
    processor_seconds: float
    accuracy: list[float]
    epochs: list[int]


def seconds_of_features(backbone: Network, dataset: Dataset) -> float:
    """Times the features of `TIMED` pictures, compiled beforehand; returns what train and valid take."""
    run, params = jax.jit(backbone.apply), jax.device_put(backbone.params)
    parts = np.split(dataset.train.inputs[:TIMED], range(FEATURE_BATCH, TIMED, FEATURE_BATCH))
    jax.block_until_ready(run(params, parts[0]))
    start = time.perf_counter()
    for part in parts:
        jax.block_until_ready(run(params, part))
    return (time.perf_counter() - start) * (len(dataset.train) + len(dataset.valid)) / TIMED


class Work:
    """The heads of one density, and the ways to train them."""

    def __init__(self, space: Space, cached: Dataset, genomes: jax.Array):
        self.space, self.cached = space, cached
        self.optimizer = optax.sgd(RATE, momentum=MOMENTUM, nesterov=True)
        self.learner = training.learner(space, training.cross_entropy, self.optimizer)
        self.key = jax.random.key(1)
        assert space.init is not None
        self.members = jax.vmap(space.init)(jax.random.split(jax.random.key(2), len(genomes)), genomes)

    def population(self) -> training.Fitted:
        """Trains all heads as a population."""
        fit = training.population(
            self.space, self.learner, self.cached.train, epochs=EPOCHS, batch=BATCH, valid=self.cached.valid,
            patience=PATIENCE,
        )  # fmt: skip
        return fit(self.key, self.members)

    def alone(self, layout: Any) -> training.Fitted:
        """Trains one head after another with `training.fit`, masked, by steps or by epochs."""
        valid = jax.device_put(datasets.Batch(*_arrays(self.cached.valid), np.ones(len(self.cached.valid), bool)))
        assert self.learner.score is not None
        judge = jax.jit(self.learner.score)
        best, epochs = [], []
        for index in range(len(self.members.genome)):
            member = jax.tree.map(lambda leaf, i=index: leaf[i], self.members)
            member = member._replace(optimizer_state=self.optimizer.init(member.params))
            found, history = training.fit(
                jax.random.fold_in(self.key, index), member, self.learner.update, self.cached.train, epochs=EPOCHS,
                batch=BATCH, score=lambda one: float(judge(one, valid)), patience=PATIENCE, layout=layout,
            )  # fmt: skip
            best.append(jax.device_get(found._replace(optimizer_state=None)))
            epochs.append(len(history))
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *best)
        return training.Fitted(stacked, np.array(epochs), np.full(len(epochs), np.nan), {})

    def timed(self, way: str) -> Trained:
        """Trains all heads in one way, and scores them on test."""
        run = {
            "population": self.population,
            "one_by_one": lambda: self.alone("steps"),
            "epochs": lambda: self.alone("scan"),
        }[way]
        start, processor = time.perf_counter(), time.process_time()
        fitted = run()
        seconds, worked = time.perf_counter() - start, time.process_time() - processor
        return Trained(seconds, worked, self._accuracy(fitted.members), np.asarray(fitted.epochs).tolist())

    def _accuracy(self, members: Member) -> list[float]:
        test = self.cached.test
        run = jax.jit(jax.vmap(self.space.apply, (0, 0, None)))
        logits = run({"params": members.params, "state": members.state}, members.genome, test.inputs)
        return (np.asarray(logits).argmax(axis=-1) == test.labels).mean(axis=1).tolist()


def _arrays(split: Split) -> tuple[np.ndarray, np.ndarray]:
    return split.inputs, split.labels


def measure(space: Space, cached: Dataset, genomes: jax.Array, features: dict[str, float]) -> dict[str, Any]:
    """Trains heads in all ways and compares.

    Args:
      space: of the heads.
      cached: features in three splits.
      genomes: of the heads, stacked.
      features: seconds that the features cost once, by way.

    Returns:
      Seconds, accuracies and epochs by way, and the ratios.
    """
    work = Work(space, cached, genomes)
    found = {way: work.timed(way) for way in ("population", "one_by_one", "epochs")}
    seconds = {way: one.seconds for way, one in found.items()}
    seconds |= {way: len(genomes) * once + seconds["one_by_one"] for way, once in features.items()}
    accuracy = {way: statistics.fmean(one.accuracy) for way, one in found.items()}
    return {
        "active_share": np.asarray(genomes).mean(axis=1).tolist(),
        "ways": {way: one._asdict() for way, one in found.items()},
        "seconds": seconds,
        "mean_accuracy": accuracy,
        "ratios": {f"{way}_over_population": seconds[way] / seconds["population"] for way in list(TITLES)[:-1]},
        "processor_ratios": {
            f"{way}_over_population": found[way].processor_seconds / found["population"].processor_seconds
            for way in ("one_by_one", "epochs")
        },
        "largest_difference_of_mean_accuracy": max(accuracy.values()) - min(accuracy.values()),
    }  # fmt: skip


def _print(name: str, found: dict[str, Any]) -> None:
    rows = [
        (
            title,
            f"{found['seconds'][way]:.1f}",
            f"{found['ratios'].get(f'{way}_over_population', 1.0):.2f}",
            f"{found['processor_ratios'].get(f'{way}_over_population', float('nan')):.2f}",
            f"{found['mean_accuracy'].get(way, float('nan')):.2%}",
        )
        for way, title in TITLES.items()
    ]
    table(
        f"{len(found['active_share'])} heads, {name}",
        ("way", "seconds", "over population", "by CPU time", "mean accuracy on test"),
        rows,
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backbone", choices=pretrained.NAMES, default="efficientnet-lite0", help="(default: %(default)s)"
    )
    parser.add_argument("--size", metavar="PIXELS", type=int, default=224, help="of pictures (default: %(default)s)")
    parser.add_argument(
        "--heads", metavar="N", type=at_least_1, default=HEADS, help="heads to train (default: %(default)s)"
    )


def main() -> None:
    """Runs the benchmark."""
    options = parse_benchmark(
        "heads", __doc__ or "", resume="keep the features that the folder holds", more=_add_options
    )
    if missing := pretrained.missing(options.backbone):
        raise SystemExit(f"heads: {', '.join(missing)} missing; install with: pip install {' '.join(missing)}")
    settings = {"backbone": options.backbone, "size": options.size, "per_class": PER_CLASS, "heads": options.heads}
    with claim(options.out, settings, options.resume) as folder:
        dataset = datasets.load(f"photos:size={options.size},per_class={PER_CLASS},noise={NOISE}")
        backbone = over_pictures(
            pretrained.backbone(options.backbone, options.size), (options.size, options.size, 3), options.backbone,
            spread=pretrained.SPREAD, output="values",
        )  # fmt: skip
        with folder.phase("features"):
            cached = evaluation.features(backbone, dataset, folder=folder.path / "features")
        with folder.phase("features again, as published for each head"):
            once = {
                "published": seconds_of_features(backbone, dataset),
                "published_fast": seconds_of_features(graph.accelerate(backbone), dataset),
            }
        head = pruning.head(cached.train.inputs.shape[-1], dataset.classes, HIDDEN)
        space = pruning.neurons(head)
        genomes = {"published": space.sample(jax.random.key(0), options.heads)}
        genomes["half"] = jax.random.bernoulli(jax.random.key(3), 0.5, genomes["published"].shape)
        found = {}
        for name, some in genomes.items():
            with folder.phase(name):
                found[name] = measure(space, cached, some, once)
        result = {
            "benchmark": "heads",
            **settings,
            "examples": {which: len(getattr(dataset, which)) for which in ("train", "valid", "test")},
            "features_seconds": once,
            "published_is": "features of train and valid timed once, times the heads, plus the training one by one",
            "ratios": {**found["published"]["ratios"], **{f"{k}_half": v for k, v in found["half"]["ratios"].items()}},
            "densities": found,
            "seconds": folder.seconds,
            "versions": versions(),
        }
        write_json(folder.path / "result.json", result)
    for name, one in found.items():
        _print({"published": "densities from U(0, 1)", "half": "one half active"}[name], one)
    print(f"features of train and valid once: {once['published']:.1f} s, fast replay {once['published_fast']:.1f} s")


if __name__ == "__main__":
    main()
