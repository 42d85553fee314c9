"""The search space of agents: masked and compacted agents agree; costs, ONNX and the published choices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.pbt_rl import agents, drqv2, environments, tasks
from experiments.pbt_rl.drqv2 import Batch, Learning
from experiments.pbt_rl.replay import Transitions
from jaxevo import interop, pbt, trace
from jaxevo.training.compaction import compacted, expanded

SIZES = agents.Sizes(channels=4, hidden=8, blocks=1, maps=("id", "conv_3", "residual_5", "sep_conv_3"), features=(3, 6))
#: Adam moves by its rate even where gradients vanish, which actors would see after the critic's step.
LEARNING = Learning(rate=1e-8, batch=8, settle=1)


@pytest.fixture(scope="module")
def environment():
    return tasks.make("pendulum", 8, 2, 3)


@pytest.fixture(scope="module")
def architecture(environment):
    return agents.agent(environment, SIZES)


@pytest.fixture(scope="module")
def space(architecture):
    return pbt.layers(architecture)


@pytest.fixture(scope="module")
def members(architecture, space):
    """Members among which every option of every gene occurs."""
    count, key = 4, jax.random.key(0)
    genomes = space.sample(key, count)
    for column, gene in enumerate(architecture.genes):
        assert set(np.asarray(genomes[:, column]).tolist()) == set(range(len(gene.options)))
    made = jax.vmap(lambda key, genome: drqv2.begin(architecture, LEARNING, space.init(key, genome)))
    stacked = jax.jit(made)(jax.random.split(key, count), genomes)
    return [jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i]), stacked) for i in range(count)]


@pytest.fixture(scope="module")
def batch(environment):
    keys = jax.random.split(jax.random.key(1), 4)
    shape = (LEARNING.batch, *environment.frame[:2], 3)
    seen = [jax.random.randint(key, shape, 0, 256).astype(jnp.uint8) for key in keys[:2]]
    actions = jax.random.uniform(keys[2], (LEARNING.batch, 1), minval=-1, maxval=1)
    returns = jax.random.normal(keys[3], (LEARNING.batch,))
    return Batch(Transitions(seen[0], actions, returns, jnp.full(LEARNING.batch, 0.97), seen[1]), 0.2)


@pytest.fixture(scope="module")
def step(architecture):
    """A step of learning; one program serves all masked members."""
    return jax.jit(lambda key, member, batch: drqv2.update(architecture, LEARNING, key, member, batch))


def test_a_masked_step_equals_that_of_the_agent_that_was_cut_to_its_size(step, space, members, batch):
    key = jax.random.key(2)
    for member in members:
        masked, losses = step(key, member, batch)
        small, metrics = step(key, compacted(space.learning, member), batch)
        for name, loss in losses.items():
            np.testing.assert_allclose(metrics[name], loss, rtol=1e-4, atol=1e-5)
        large = expanded(space.learning, jax.device_get(small), member)
        # What spectral normalisation keeps, and the targets; then the gradients of all three parts.
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), large.state, jax.device_get(masked.state)
        )
        moments = [
            [state[0].mu for state in one.optimizer_state.values()] for one in (large, jax.device_get(masked))
        ]  # fmt: skip
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), *moments)


def test_what_a_genome_leaves_out_stays_zero(step, space, members, batch):
    for member in members:
        after = jax.device_get(step(jax.random.key(0), member, batch)[0])
        again = expanded(space.learning, compacted(space.learning, after), after)
        jax.tree.map(np.testing.assert_array_equal, again, after)


def test_a_network_acts_as_its_member_costs_what_it_says_and_leaves_as_onnx(space, members, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    inputs = np.random.default_rng(0).uniform(size=(3, *space.inputs.shape)).astype(np.float32)
    for index, member in enumerate(members):
        network = space.network(member)
        wanted = space.apply({"params": member.params, "state": member.state}, member.genome, inputs)
        np.testing.assert_allclose(network(inputs), wanted, atol=1e-5)
        assert np.abs(np.asarray(wanted)).max() <= 1
        assert float(space.cost(member.genome).multiply_adds) >= trace(network).multiply_adds * 0.5
        path = tmp_path / f"{index}.onnx"
        interop.to_onnx(network, path)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (got,) = session.run(None, {session.get_inputs()[0].name: inputs})
        np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_the_published_choices_are_there():
    frame = environments.Environment("a task", None, None, (84, 84, 3), 3, 12, 500, 1.0)
    architecture = agents.agent(frame, agents.Sizes())
    options = {gene.name: len(gene.options) for gene in architecture.genes}
    # Three blocks that choose their kind in the encoder, the actor and either critic: ten kinds of maps, four linear.
    assert sorted(count for name, count in options.items() if name.endswith(".kind")) == [4] * 9 + [10] * 3
    assert {options[name] for name in ("actor_trunk.width", "critic_trunk.width")} == {4}
    assert sum(name.endswith(".activation") for name in options) == 4 + 5 + 9
    # The first convolution of 84 pixels with stride 2 makes maps of 41x41, as published.
    assert architecture.extents(np.zeros(len(architecture.genes), int))["params"]["actor_trunk"]["kernel"].axes[
        0
    ].sum() == (32 * 41 * 41)


def test_the_plain_agent_is_that_of_drqv2(architecture):
    genome = agents.plain(architecture)
    chosen = {gene.name: gene.options[i] for gene, i in zip(architecture.genes, genome, strict=True)}
    assert chosen["map0.kind"] == "conv_3"
    assert chosen["actor_block0.kind"] == "linear"
    assert chosen["critic_trunk.activation"] == "tanh"
    assert {value for name, value in chosen.items() if name.endswith(".spectral")} == {False}
