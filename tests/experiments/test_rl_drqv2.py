"""DrQ-v2's step: values come nearer to what is wanted, actions to what is valued, the target follows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.pbt_rl import agents, drqv2, tasks
from experiments.pbt_rl.drqv2 import Batch, Learning
from experiments.pbt_rl.replay import Transitions
from jaxevo import data, pbt

LEARNING = Learning(rate=1e-3, batch=16)
SIZES = agents.Sizes(channels=4, hidden=16, blocks=1, maps=("conv_3", "id"), linear=("linear", "id"), features=(8, 4))


@pytest.fixture(scope="module")
def architecture():
    return agents.agent(tasks.make("pendulum", 8, 2, 3), SIZES)


@pytest.fixture(scope="module")
def learned(architecture):
    """A member before and after steps on a batch whose return says how large the action is, and their metrics."""
    member = drqv2.begin(architecture, LEARNING, begun(architecture))
    keys = jax.random.split(jax.random.key(1), 2)
    seen = jax.random.randint(keys[0], (16, 8, 8, 3), 0, 256).astype(jnp.uint8)
    actions = jax.random.uniform(keys[1], (16, 1), minval=-1, maxval=1)
    batch = Batch(Transitions(seen, actions, 2 * actions[:, 0], jnp.zeros(16), seen), 0.05)
    step = jax.jit(lambda key, member: drqv2.update(architecture, LEARNING, key, member, batch))
    members, metrics = [member], []
    for index in range(300):
        member, found = step(jax.random.key(index), member)
        members.append(member)
        metrics.append(jax.tree.map(float, found))
    return members, metrics, seen


def begun(architecture):
    space = pbt.layers(architecture)
    return space.init(jax.random.key(0), jnp.asarray(agents.plain(architecture)))


def test_steps_on_one_batch_lower_the_loss_of_the_critic(learned):
    _, metrics, _ = learned
    first, last = (np.mean([one["critic"] for one in part]) for part in (metrics[:10], metrics[-10:]))
    assert last < 0.1 * first


def test_actions_go_where_the_critic_values_them(architecture, learned):
    members, _, seen = learned
    acts = jax.jit(lambda member: drqv2.explore(architecture, jax.random.key(0), member, seen, 0.0))
    assert float(acts(members[0]).mean()) < 0.6
    assert float(acts(members[-1]).mean()) > 0.9


def test_the_target_follows_the_critic_by_a_hundredth(architecture, learned):
    members, *_ = learned
    for name in architecture.names("critic"):
        jax.tree.map(
            lambda old, new, own: np.testing.assert_allclose(new, 0.99 * old + 0.01 * own, rtol=1e-5, atol=1e-7),
            members[0].state["average"][name], members[1].state["average"][name], members[1].params[name],
        )  # fmt: skip


def test_noise_goes_down_in_a_line_and_stays_inside():
    learning = Learning(noise=(1.0, 0.1), settle=100)
    assert [drqv2.noise(learning, steps) for steps in (0, 50, 100, 1000)] == pytest.approx([1.0, 0.55, 0.1, 0.1])
    actions = jnp.array([[0.0], [0.99], [-1.0]])
    moved = drqv2.disturbed(jax.random.key(0), actions, 5.0)
    assert np.abs(np.asarray(moved)).max() < 1
    np.testing.assert_array_equal(drqv2.disturbed(jax.random.key(0), actions[:2], 0.0), actions[:2])
    clipped = drqv2.disturbed(jax.random.key(0), jnp.zeros((100, 1)), 5.0, 0.3)
    assert np.abs(np.asarray(clipped)).max() == pytest.approx(0.3)
    # As published, bounds do not stop the gradient.
    gradient = jax.grad(lambda action: drqv2.disturbed(jax.random.key(0), action, 5.0).sum())(actions)
    np.testing.assert_array_equal(gradient, np.ones((3, 1)))


def test_random_shifts_are_those_of_numpy():
    pictures = np.random.default_rng(0).integers(0, 256, (5, 6, 6, 3)).astype(np.uint8)
    moved = np.asarray(data.augment.shift(2)(jax.random.key(0), pictures))
    padded = np.pad(pictures, [(0, 0), (2, 2), (2, 2), (0, 0)], mode="edge")
    for picture, whole in zip(moved, padded, strict=True):
        assert any(
            np.array_equal(picture, whole[top : top + 6, left : left + 6]) for top in range(5) for left in range(5)
        )
    # Four pixels of the published 84, in proportion.
    assert [round(drqv2.SHIFT * size) for size in (24, 48, 84)] == [1, 2, 4]
