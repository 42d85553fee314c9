"""Networks that give maps or values are scored like others, and labels that do not fit are refused at the door."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo import evaluation
from jaxevo.data import Split
from jaxevo.evaluation.metrics import Metric
from tests.evaluation.masks import CLASSES, FEATURES, masks, split

KEY = jax.random.key(3)
EVALUATIONS = [evaluation.population, evaluation.shared]
METRICS = [evaluation.accuracy, -evaluation.nll, evaluation.mean_iou(CLASSES)]


def outputs_of(space, genomes, examples):
    return np.asarray(jax.vmap(lambda genome: space.apply(space.params, genome, examples.inputs))(genomes))


@pytest.mark.smoke
@pytest.mark.parametrize("build", EVALUATIONS)
@pytest.mark.parametrize("output", ["logits", "probabilities"])
def test_maps_are_scored_over_all_positions_that_count(build, output):
    space, examples = masks(output, space=(3, 2)), split(space=(3, 2), least=-1)
    genomes = space.sample(KEY, 5)
    _, fitness = build(space, examples, METRICS, batch=10)(None, space.params, genomes)
    outputs, counts = outputs_of(space, genomes, examples).astype(np.float64), examples.labels >= 0
    chosen = outputs[:, counts]
    log_p = np.log(chosen) if output == "probabilities" else chosen - np.log(np.exp(chosen).sum(-1, keepdims=True))
    labels = examples.labels[counts]
    likelihood = log_p[:, np.arange(len(labels)), labels].mean(1)
    predicted = chosen.argmax(-1)
    np.testing.assert_allclose(fitness[:, 0], (predicted == labels).mean(1), rtol=1e-6)
    np.testing.assert_allclose(fitness[:, 1], likelihood, rtol=1e-5)
    both = np.stack([((predicted == c) & (labels == c)).sum(1) for c in range(CLASSES)])
    either = np.stack([((predicted == c) | (labels == c)).sum(1) for c in range(CLASSES)])
    np.testing.assert_allclose(fitness[:, 2], (both / either).mean(0), rtol=1e-6)


@pytest.mark.parametrize("build", EVALUATIONS)
@pytest.mark.parametrize(("space", "classes", "shape"), [((), 1, ()), ((), 3, (3,)), ((2, 2), 1, (2, 2, 1))])
def test_values_are_scored_by_their_squared_error(build, space, classes, shape):
    family, examples = masks("values", classes=classes, space=space), split(space=space)
    targets = np.random.default_rng(5).normal(size=(37, *shape)).astype(np.float32)
    genomes = family.sample(KEY, 4)
    evaluate = build(family, Split(examples.inputs, targets), [-evaluation.mean_squared_error], batch=10)
    outputs = outputs_of(family, genomes, examples).reshape(4, 37, -1)
    expected = -np.square(outputs - targets.reshape(37, -1)).mean((1, 2))
    np.testing.assert_allclose(evaluate(None, family.params, genomes)[1][:, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("build", EVALUATIONS)
def test_a_network_with_one_position_that_is_not_finite_scores_nan(build):
    space, examples = masks(space=(2,)), split(space=(2,))
    genomes = space.sample(KEY, 3)
    genomes = {**genomes, "scale": genomes["scale"].at[1].set(0.0)}
    fitness = np.asarray(build(space, examples, METRICS)(None, space.params, genomes)[1])
    assert np.isnan(fitness).all(1).tolist() == [False, True, False]


MAPS, VALUES = np.zeros((37, 2), np.int32), np.zeros(37, np.float32)


@pytest.mark.parametrize("build", EVALUATIONS)
@pytest.mark.parametrize(
    ("space", "labels", "metric", "message"),
    [
        (masks(), MAPS, evaluation.accuracy, r"int32 \[37, 2\], expected whole numbers \[N\] for outputs \[N, 4\]"),
        (masks(), VALUES, evaluation.accuracy, "split.labels are float32.*class of each example"),
        (masks(space=(2,)), VALUES, evaluation.accuracy, "float32.*expected whole numbers.*class of each position"),
        (masks(space=(2,)), MAPS[:, 0], evaluation.accuracy, r"\[37\], expected whole numbers \[N, 2\]"),
        (masks(space=(2,)), MAPS - 2, evaluation.accuracy, r"lie in \[-2, -2\].*4 classes.*or -1 where nothing counts"),
        (masks(space=(2,)), MAPS + 4, -evaluation.nll, r"lie in \[4, 4\]"),
        (masks(space=(2,)), MAPS - 1, evaluation.accuracy, "are all -1, which counts nowhere"),
        (masks(), MAPS[:, 0] - 1, evaluation.accuracy, r"lie in \[-1, -1\]"),
        (masks(), VALUES, -evaluation.mean_squared_error, r"reads values, but networks.*give logits \[2, 4\]"),
        (masks("values"), VALUES, evaluation.accuracy, "reads classes, but networks.*give values"),
        (masks("values"), VALUES, -evaluation.mean_squared_error, r"\[37\], expected floating numbers \[N, 4\]"),
        (masks("values", classes=1), MAPS[:, 0], -evaluation.mean_squared_error, "int32.*expected floating"),
        (masks(space=(2,)), MAPS, evaluation.mean_iou(3), "classes is 3, but the networks have 4"),
        (masks(), MAPS[:, 0], evaluation.top_k(5), "k is 5, but the networks have 4"),
    ],
)
def test_labels_and_metrics_that_do_not_fit_are_refused_before_anything_runs(build, space, labels, metric, message):
    inputs = np.zeros((37, *space.inputs.shape[:-1], FEATURES), np.float32)
    with pytest.raises(ValueError, match=message):
        build(space, Split(inputs, labels), [metric])


def test_more_positions_than_counts_hold_are_refused():
    space = masks(space=(2**20,))
    lazy = np.broadcast_to(np.int32(0), (2**11, 2**20))
    inputs = np.broadcast_to(np.float32(0), (2**11, 2**20, FEATURES))
    with pytest.raises(ValueError, match=r"hold 2147483648 numbers, expected less than 2\*\*31"):
        evaluation.population(space, Split(inputs, lazy), [evaluation.accuracy])


def test_a_metric_that_reads_anything_takes_whatever_labels_there_are():
    space = dataclasses.replace(masks(), output="values")
    count = Metric(
        "count",
        True,
        "outputs",
        init=lambda: jnp.zeros((), jnp.int32),
        update=lambda state, outputs, labels, mask: state + mask.sum(dtype=jnp.int32) * labels.shape[1],
        finish=lambda state: state,
        reads="anything",
    )
    examples = dataclasses.replace(split(), labels=np.zeros((37, 7), np.int64))
    fitness = evaluation.population(space, examples, [count])(None, space.params, space.sample(KEY, 2))[1]
    assert (np.asarray(fitness) == 37 * 7).all()
