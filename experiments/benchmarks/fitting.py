"""How well and how fast stitches are fitted: the closed form against AdamW, on the pair of the main job.

Three ways fit every stitch of the pair on train; errors are measured on valid, as a share of the target's variance
and before variances are matched:

  closed_form: ridge regression from one pass over the data;
  adamw: five epochs of AdamW, rate 1e-3 and weight decay 1e-2, as Guijt et al. published (arXiv 2403.14224);
  adamw_standardised: five epochs of AdamW at 1e-2 on sources with mean 0 and variance 1 in every channel.

Seconds are those of whole calls. The parents are those of the main job, trained on its 3,072 crops; stitches are fitted
on eight times as many, so that compilation, a second or so of each way, is a small part.

It also prints what matching variances and covariances does to offspring with one stitch.

    python -m experiments.benchmarks.fitting [--out DIR] [--resume]
"""

import dataclasses
import functools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.folder import claim
from experiments.options import parse_benchmark
from experiments.report import table, versions, write_json
from experiments.stitching.pipeline import trained
from experiments.stitching.presets import PRESETS
from jaxevo import data, evaluation, graph, stitching
from jaxevo.data import Dataset, Split
from jaxevo.stitching import Merged, apply_stitch
from jaxevo.stitching.views import ends_of, values_of

EPOCHS, BATCH = 5, 32

#: What stitches are fitted on and measured with.
EXAMPLES = "photos:per_class=2048"


class Fitted(NamedTuple):
    """What a way gave: stitches, and the seconds that it took, compilation included."""

    merged: Merged
    seconds: float


def closed_form(merged: Merged, split: Split) -> Fitted:
    """Fits by ridge regression, nothing matched afterwards."""
    start = time.monotonic()
    fitted, _ = stitching.fit(jax.random.key(1), merged, split, match="nothing")
    return Fitted(fitted, time.monotonic() - start)


def adamw(merged: Merged, split: Split) -> Fitted:
    """Fits by AdamW as published, from drawn stitches."""
    start = time.monotonic()
    fitted, _ = stitching.tune(jax.random.key(1), merged, split, epochs=EPOCHS, batch=BATCH)
    return Fitted(fitted, time.monotonic() - start)


def adamw_standardised(merged: Merged, split: Split) -> Fitted:
    """Fits by AdamW at 1e-2 where sources are standardised and targets have an overall variance of 1."""
    start = time.monotonic()
    scales = _scales(merged, split)

    def raw(stitches):
        """Turns stitches between standardised features into stitches between features."""
        found = {}
        for stitch in merged.stitches:
            leaves = stitches[stitch.name]
            (mean, deviation), (centre, spread) = scales[stitch.name]
            kernel = leaves["kernel"] / deviation[:, None] * spread
            found[stitch.name] = {"kernel": kernel, "bias": leaves["bias"] * spread + centre - mean @ kernel}
        return found

    weights = {stitch.name: scales[stitch.name][1][1] for stitch in merged.stitches}

    def objective(key, params, batch):
        del key
        errors = _errors(merged, {**params, "stitches": raw(params["stitches"])}, batch.inputs, batch.mask)
        return sum(errors[name] / spread**2 for name, spread in weights.items()) / batch.mask.sum()

    optimizer = optax.adamw(1e-2, weight_decay=1e-2)
    tuned, _ = stitching.tune(
        jax.random.key(1), merged, split, objective, optimizer=optimizer, epochs=EPOCHS, batch=BATCH
    )
    fitted = dataclasses.replace(merged, params={**merged.params, "stitches": raw(tuned.params["stitches"])})
    return Fitted(fitted, time.monotonic() - start)


WAYS = {"closed_form": closed_form, "adamw": adamw, "adamw_standardised": adamw_standardised}


def errors(merged: Merged, split: Split) -> dict[str, float]:
    """Measures the squared error of every stitch as a share of the variance of what it replaces.

    Args:
      merged: the merged network.
      split: examples.

    Returns:
      By name of the stitch.
    """
    step = jax.jit(functools.partial(_errors, merged))
    total: dict[str, float] = {}
    for batch in data.batches(split, 128):
        found = jax.device_get(step(merged.params, batch.inputs, batch.mask))
        total = {name: total.get(name, 0.0) + float(error) for name, error in found.items()}
    scales = _scales(merged, split)
    return {name: error / len(split) / float(scales[name][1][1]) ** 2 for name, error in total.items()}


def _errors(merged: Merged, params, inputs, mask) -> dict[str, jax.Array]:
    """Sums over examples of the squared error of each stitch, mean over positions, sum over channels."""
    ends = {stitch.name: ends_of(merged.pairs, stitch) for stitch in merged.stitches}
    values = values_of(merged.parents, [end for both in ends.values() for end in both], params["parents"], inputs)
    found = {}
    for stitch in merged.stitches:
        source, target = (values[end] for end in ends[stitch.name])
        wrong = jnp.square(apply_stitch(stitch, params["stitches"][stitch.name], source) - target)
        channels = jnp.moveaxis(wrong, stitch.makes.channel or -1, -1)
        each = channels.reshape(len(wrong), -1, channels.shape[-1]).mean(1).sum(1)
        found[stitch.name] = jnp.where(mask, each, 0).sum()
    return found


def _scales(merged: Merged, split: Split) -> dict[str, tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]]:
    """Returns for each stitch mean and deviation of the source's channels, mean of the target's, and its spread.

    The spread is the root of the sum of the variances of the target's channels.
    """
    ends = {stitch.name: ends_of(merged.pairs, stitch) for stitch in merged.stitches}
    wanted = list(dict.fromkeys(end for both in ends.values() for end in both))

    @jax.jit
    def moments(params, inputs, mask):
        found = []
        for end, value in values_of(merged.parents, wanted, params, inputs).items():
            channel = merged.parents[end[0]].features[end[1]].channel
            assert channel is not None  # Or nothing could be stitched to it.
            rows = jnp.moveaxis(value, channel, -1).reshape(len(value), -1, value.shape[channel])
            kept = jnp.where(mask[:, None], rows.mean(1), 0), jnp.where(mask[:, None], jnp.square(rows).mean(1), 0)
            found.append([part.sum(0) for part in kept])
        return found

    total = None
    for batch in data.batches(split, 128):
        found = jax.device_get(moments(merged.params["parents"], batch.inputs, batch.mask))
        found = [[np.asarray(part, np.float64) for part in one] for one in found]
        total = found if total is None else jax.tree.map(np.add, total, found)
    assert total is not None
    means = [first / len(split) for first, _ in total]
    variances = [
        np.maximum(second / len(split) - mean**2, 1e-8) for (_, second), mean in zip(total, means, strict=True)
    ]
    places = {end: i for i, end in enumerate(_order(merged, wanted))}
    scales = {}
    for name, (source, target) in ends.items():
        a, b = places[source], places[target]
        scales[name] = (
            (jnp.float32(means[a]), jnp.float32(np.sqrt(variances[a]))),
            (jnp.float32(means[b]), jnp.float32(np.sqrt(variances[b].sum()))),
        )
    return scales


def _order(merged: Merged, wanted) -> list:
    """Returns features in the order in which `values_of` gives them, parent by parent."""
    return [end for parent in range(len(merged.parents)) for end in wanted if end[0] == parent]


def matching(merged: Merged, dataset: Dataset) -> dict[str, float]:
    """Measures the mean accuracy on valid of all offspring with one stitch, by what is matched after fitting."""
    found = {}
    for match in ("nothing", "variance", "covariance"):
        fitted, _ = stitching.fit(jax.random.key(1), merged, dataset.train, match=match)
        space = stitching.switches(fitted)
        evaluate = evaluation.shared(space, dataset.valid, [evaluation.accuracy])
        _, fitness = evaluate(None, space.params, stitching.single_stitches(merged))
        found[match] = float(fitness.mean())
    return found


def main() -> None:
    """Runs the benchmark."""
    options = parse_benchmark("fitting", __doc__ or "", resume="keep the parents that the folder holds")
    settings = PRESETS["quick"]
    dataset = data.load(settings.data)
    identity = {**dataclasses.asdict(settings), "seed": 0, "epochs": EPOCHS, "step": BATCH, "examples": EXAMPLES}
    with claim(options.out, identity, options.resume) as folder:
        with folder.phase("parents"):
            parents = trained(settings, dataset, 0, folder.path)
        pairs = stitching.match(*map(graph.trace, parents))
        merged = stitching.stitch(jax.random.key(0), pairs)
        fitted, wrong = {}, {}
        examples = data.load(EXAMPLES)
        for name, way in WAYS.items():
            with folder.phase(name):
                fitted[name] = way(merged, examples.train)
                wrong[name] = errors(fitted[name].merged, examples.valid)
        with folder.phase("matching"):
            matched = matching(merged, dataset)
        result = {**figures(fitted, wrong), "matching": matched, "versions": versions()}
        write_json(folder.path / "result.json", result)
    _print(result)


def figures(fitted: dict[str, Fitted], wrong: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Returns errors, seconds, their ratios, and how much worse the closed form is than the better AdamW at worst."""
    better = {name: min(wrong["adamw"][name], wrong["adamw_standardised"][name]) for name in wrong["adamw"]}
    seconds = {name: one.seconds for name, one in fitted.items()}
    return {
        "errors": wrong,
        "seconds": seconds,
        "ratios": {f"{name}_over_closed_form": seconds[name] / seconds["closed_form"] for name in list(WAYS)[1:]},
        "worst_error_ratio": max(wrong["closed_form"][name] / better[name] for name in better),
    }


def _print(result: dict[str, Any]) -> None:
    ways = list(WAYS)
    rows = [(name, *(f"{result['errors'][way][name]:.3f}" for way in ways)) for name in result["errors"][ways[0]]]
    table("error on valid, share of variance", ("stitch", *ways), rows)
    rows = [
        (way, f"{result['seconds'][way]:.1f}", f"{np.mean(list(result['errors'][way].values())):.3f}",
         f"{result['ratios'].get(f'{way}_over_closed_form', 1.0):.1f}")
        for way in ways
    ]  # fmt: skip
    table("all stitches", ("way", "seconds", "mean error", "seconds / closed form"), rows)
    table(
        "offspring with one stitch",
        ("matched", "mean accuracy"),
        [(k, f"{v:.3f}") for k, v in result["matching"].items()],
    )
    print(f"ratios.adamw_over_closed_form: {result['ratios']['adamw_over_closed_form']:.2f}")
    print(f"worst_error_ratio: {result['worst_error_ratio']:.3f}")


if __name__ == "__main__":
    main()
