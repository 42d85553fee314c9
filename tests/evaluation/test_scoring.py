"""Scoring a population agrees with running each network, whatever the chunk, the layout and the devices."""

import dataclasses
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo.data import Split
from jaxevo.devices import mesh
from jaxevo.evaluation import memory
from jaxevo.evaluation.metrics import Metric, accuracy, multiply_adds, nll, parameters
from jaxevo.evaluation.scoring import population
from tests.evaluation.masks import CLASSES, FEATURES, masks, split
from tests.jaxprs import captured_bytes

METRICS = [accuracy, -nll, -multiply_adds, -parameters]
KEY = jax.random.key(3)


def by_hand(space, genomes, examples):
    """Fitness of each decoded network on its own, in numpy."""
    rows = []
    for index in range(len(genomes["scale"])):
        genome = jax.tree.map(lambda leaf, index=index: leaf[index], genomes)
        outputs = np.asarray(space.decode(space.params, genome)(examples.inputs), np.float64)
        log_p = np.log(outputs) if space.output == "probabilities" else outputs - _logsumexp(outputs)
        likelihood = log_p[np.arange(len(outputs)), examples.labels].mean()
        cost = space.cost(genome)
        correct = np.mean(outputs.argmax(1) == examples.labels)
        rows.append([correct, likelihood, -float(cost.multiply_adds), -float(cost.parameters)])
    return np.array(rows)


def _logsumexp(x):
    return np.log(np.exp(x).sum(1, keepdims=True))


@pytest.mark.smoke
@pytest.mark.parametrize("settings", [{}, {"layout": "vmap", "chunk": 3}, {"layout": "map", "chunk": 2}])
@pytest.mark.parametrize("output", ["logits", "probabilities"])
def test_fitness_equals_each_decoded_network_run_on_its_own(settings, output):
    space, examples = masks(output), split()
    genomes = space.sample(KEY, 7)
    evaluate = population(space, examples, METRICS, batch=10, **settings)
    returned, fitness = evaluate(KEY, space.params, genomes)
    assert returned is genomes
    assert fitness.dtype == jnp.float32
    assert evaluate.objectives == ("accuracy", "-nll", "-multiply_adds", "-parameters")
    np.testing.assert_allclose(fitness, by_hand(space, genomes, examples), rtol=1e-5)


def test_chunk_layout_and_batch_change_nothing():
    space, examples = masks(), split()
    genomes = space.sample(KEY, 8)
    want = population(space, examples, METRICS)(KEY, space.params, genomes)[1]
    for chunk in (1, 3, 8):
        for layout in ("map", "vmap"):
            evaluate = population(space, examples, METRICS, chunk=chunk, layout=layout, batch=8)
            np.testing.assert_allclose(evaluate(KEY, space.params, genomes)[1], want, rtol=1e-5)


@pytest.mark.parametrize("layout", ["one", "map", "vmap"])
def test_genomes_and_params_change_without_a_second_compilation(layout):
    traces = []
    space = masks(traces=traces)
    evaluate = population(space, split(), METRICS, layout=layout)
    evaluate(KEY, space.params, space.sample(KEY, 5))
    first = len(traces)
    for seed in range(3):
        params = jax.tree.map(lambda leaf, seed=seed: leaf + seed, space.params)
        evaluate(KEY, params, space.sample(jax.random.key(seed), 5))
    assert len(traces) == first
    assert evaluate.report()["evaluations"] == 20


@pytest.mark.smoke
def test_the_hot_loop_moves_nothing_to_or_from_the_devices_unasked():
    space = masks()
    evaluate = population(space, split(), METRICS, batch=8)
    genomes = space.sample(KEY, 6)
    with jax.transfer_guard("disallow"):
        fitness = evaluate(None, space.params, genomes)[1]
        fitness = evaluate(None, space.params, genomes)[1]
    assert np.isfinite(fitness).all()


def test_a_compiled_step_captures_neither_parameters_nor_examples():
    space = masks(hidden=100_000)
    examples = split(50_000)
    evaluate = population(space, examples, METRICS, batch=64)
    genomes = space.sample(KEY, 2)
    assert memory.tree_bytes((space.params, examples.inputs)) > 4e6

    def step(evaluate, params, genomes):
        return evaluate(None, params, genomes)[1]

    assert captured_bytes(step, evaluate, space.params, genomes) < 1e6
    program = evaluate.program
    stacked, states = program.prepare(genomes, 2)
    index = np.int32(0)
    assert captured_bytes(program.step, space.params, stacked, states, evaluate.examples, index, index) < 1e6


@pytest.mark.parametrize("settings", [{}, {"chunk": 2}, {"layout": "vmap", "chunk": 3}])
def test_it_runs_inside_a_scan_over_generations(settings):
    space = masks()
    evaluate = population(space, split(), METRICS, batch=16, **settings)
    genomes = space.sample(KEY, 5)

    @jax.jit
    def run(evaluate, params, genomes):
        def step(genomes, key):
            fitness = evaluate(key, params, genomes)[1]
            return space.vary(key, genomes, jax.tree.map(jnp.flip, genomes)), fitness

        return jax.lax.scan(step, genomes, jax.random.split(KEY, 3))[1]

    fitness = run(evaluate, space.params, genomes)
    assert fitness.shape == (3, 5, 4)
    np.testing.assert_allclose(fitness[0], evaluate(KEY, space.params, genomes)[1], rtol=1e-5)


def test_a_network_that_is_not_finite_scores_nan_and_only_itself():
    space = masks()
    genomes = space.sample(KEY, 4)
    genomes = {**genomes, "scale": genomes["scale"].at[2].set(0.0)}
    for layout in ("one", "map", "vmap"):
        fitness = np.asarray(population(space, split(), METRICS, layout=layout)(KEY, space.params, genomes)[1])
        assert np.isnan(fitness[2, :2]).all()
        assert np.isfinite(np.delete(fitness, 2, axis=0)).all()
        assert np.isfinite(fitness[2, 2:]).all()


def test_bfloat16_computes_in_bfloat16_and_scores_in_float32():
    traces = []
    space, examples = masks(traces=traces), split(200)
    genomes = space.sample(KEY, 4)
    want = population(space, examples, METRICS)(KEY, space.params, genomes)[1]
    traces.clear()
    fitness = population(space, examples, METRICS, dtype="bfloat16")(KEY, space.params, genomes)[1]
    assert traces[-1]["mask"].dtype == jnp.bfloat16
    assert fitness.dtype == jnp.float32
    np.testing.assert_allclose(fitness, want, rtol=0.05)
    assert not np.array_equal(fitness, want)


def test_regression_takes_a_metric_of_ones_own():
    space = dataclasses.replace(masks(), output="values")
    examples = split()
    targets = dataclasses.replace(examples, labels=np.ones((37, CLASSES), np.float32))
    error = Metric(
        "absolute_error",
        False,
        "outputs",
        init=lambda: jnp.zeros(()),
        update=lambda state, y, t, mask: state + jnp.where(mask, jnp.abs(y - t).sum(-1), 0).sum(),
        finish=lambda state: state,
        reads="anything",
    )
    genomes = space.sample(KEY, 3)
    fitness = population(space, targets, [-error], batch=10)(KEY, space.params, genomes)[1]
    outputs = jax.vmap(lambda genome: space.apply(space.params, genome, examples.inputs))(genomes)
    np.testing.assert_allclose(fitness[:, 0], -jnp.abs(outputs - 1).sum((1, 2)), rtol=1e-5)


DEVICES = """
import sys
import jax, numpy as np
from jaxevo.devices import mesh
from jaxevo.evaluation.scoring import population
from tests.evaluation.test_scoring import KEY, METRICS
from tests.evaluation.masks import masks, split
space = masks()
genomes = space.sample(KEY, 11)
rows = []
for devices, data, settings in [(1, 1, {}), (8, 1, {}), (8, 2, {}), (8, 1, {"layout": "vmap", "chunk": 2})]:
    layout = mesh(jax.devices()[:devices], data=data)
    evaluate = population(space, split(), METRICS, mesh=layout, batch=9, **settings)
    with jax.transfer_guard("disallow"):
        rows.append(evaluate(None, space.params, genomes)[1])
np.save(sys.argv[1], np.stack([np.asarray(row) for row in rows]))
"""


def test_eight_devices_give_what_one_gives(tmp_path):
    path = tmp_path / "fitness.npy"
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", DEVICES, str(path)], check=True, env=environment)
    one, *others = np.load(path)
    assert len(others) == 3
    for fitness in others:
        np.testing.assert_allclose(fitness, one, rtol=1e-5)


def test_memory_is_estimated_before_compiling_and_refused_where_it_does_not_fit(monkeypatch):
    space = masks()
    small = population(space, split(), METRICS, chunk=1, layout="vmap")
    large = population(space, split(), METRICS, chunk=8, layout="vmap")
    params = memory.tree_bytes(space.params)
    assert params < small.memory_bytes(8) < large.memory_bytes(8) < 10 * small.memory_bytes(8)
    monkeypatch.setattr(memory, "available_bytes", lambda device: 1000)
    with pytest.raises(ValueError, match=r"population of 8: expects to need .* GiB .* choose a chunk smaller than 8"):
        large(KEY, space.params, space.sample(KEY, 8))
    with pytest.raises(ValueError, match="choose a smaller batch"):
        population(space, split(), METRICS)(KEY, space.params, space.sample(KEY, 8))


def labelled(labels):
    return dataclasses.replace(split(), labels=labels)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"space": "masks"}, TypeError, "space is 'masks', expected a jaxevo Space"),
        ({"split": np.ones(3)}, TypeError, "split is ndarray, expected inputs and labels"),
        (
            {"split": labelled(np.zeros(36, int))},
            ValueError,
            r"split.labels have shape \[36\], expected \[37",
        ),
        ({"split": labelled(np.zeros(37))}, ValueError, "split.labels are float64"),
        (
            {"split": labelled(np.full(37, 4))},
            ValueError,
            r"lie in \[4, 4\], but the networks have 4 classes",
        ),
        ({"metrics": [multiply_adds]}, ValueError, "write -multiply_adds"),
        ({"batch": 0}, ValueError, "batch is 0"),
        ({"chunk": 2.0}, ValueError, "chunk is 2.0"),
        ({"chunk": 2, "layout": "one"}, ValueError, "chunk is 2 with layout 'one'"),
        ({"layout": "vmapp"}, ValueError, "layout is 'vmapp'"),
        ({"dtype": "float16"}, ValueError, "dtype is 'float16'"),
        ({"mesh": 8}, TypeError, "mesh is 8"),
        ({"space": dataclasses.replace(masks(), output="values")}, ValueError, "metric 'accuracy' reads classes"),
    ],
)
def test_wrong_arguments_are_refused_by_name(change, error, message):
    arguments = {"space": masks(), "split": split(), "metrics": METRICS} | change
    with pytest.raises(error, match=message):
        population(**arguments)


def test_genomes_that_do_not_fit_the_space_are_refused():
    space = masks()
    evaluate = population(space, split(), METRICS)
    genomes = space.sample(KEY, 3)
    with pytest.raises(ValueError, match="genomes have structure"):
        evaluate(KEY, space.params, genomes["mask"])
    with pytest.raises(ValueError, match="stack genomes on a leading axis"):
        evaluate(KEY, space.params, jax.tree.map(lambda leaf: leaf[0], genomes))


def test_a_mesh_is_refused_where_devices_do_not_divide():
    with pytest.raises(ValueError, match="mesh: data is 3"):
        mesh(jax.devices()[:1], data=3)
    assert mesh(jax.devices()[:1]).axis_names == ("pop", "data")
    wrong = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("batch",))
    with pytest.raises(ValueError, match=r"expected \('pop', 'data'\)"):
        population(masks(), split(), METRICS, mesh=wrong)


def test_inputs_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=rf"expected \[B, {FEATURES}\]"):
        population(masks(), Split(np.ones((5, 7), np.float32), np.zeros(5, int)), METRICS)
