"""Environments of the reinforcement learning experiment are functions of their key, and draw what they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.pbt_rl import drawing, environments, life, pendulum, tasks
from experiments.pbt_rl.environments import Dynamics
from experiments.pbt_rl.pendulum import Swing


def roll(environment, key, count, steps=3):
    """Lets environments run, and returns what there is to remember of them."""
    where, rows = life.begin(environment, key, count), []
    advance = jax.jit(lambda key, where, actions: life.advance(environment, key, where, actions))
    for step in range(steps):
        actions = jnp.full((count, environment.actions), 0.5)
        where, row = advance(jax.random.fold_in(key, step), where, actions)
        rows.append(row)
    return where, jax.tree.map(lambda *leaves: np.stack(leaves), *rows)


def test_an_environment_is_a_function_of_its_key_whatever_runs_beside_it():
    environment = tasks.make("pendulum", 16, 2, 3)
    key = jax.random.key(3)
    _, alone = roll(environment, key, 1)
    _, three = roll(environment, key, 3)
    _, other = roll(environment, jax.random.key(4), 1)
    np.testing.assert_array_equal(alone.frames[:, 0], three.frames[:, 0])
    np.testing.assert_allclose(alone.rewards[:, 0], three.rewards[:, 0], rtol=1e-6)
    assert not np.array_equal(alone.frames, other.frames)


def test_an_action_is_repeated_until_it_is_done_and_frames_move_up():
    def reset(key):
        return jnp.int32(0)

    def step(key, state, action):
        return state + 1, jnp.float32(1), state + 1 >= 3

    dynamics = Dynamics(reset, step, lambda state: jnp.full((2, 2, 1), state, jnp.uint8), 1, 10, 1.0)
    environment = environments.seen("counting", dynamics, 2, 3)
    key = jax.random.key(0)
    state, frames = environment.reset(key)
    assert environment.length == 5
    assert frames[0, 0].tolist() == [0, 0, 0]
    state, frames, reward, done = environment.step(key, state, jnp.zeros(1))
    assert (frames[0, 0].tolist(), float(reward), bool(done)) == ([0, 0, 2], 2.0, False)
    state, frames, reward, done = environment.step(key, state, jnp.zeros(1))
    # The second half of the repeat would come after the end.
    assert (frames[0, 0].tolist(), float(reward), bool(done)) == ([0, 2, 3], 1.0, True)


def test_an_episode_that_ends_is_followed_by_another_one_step_later():
    environment = tasks.make("pendulum", 8, 2, 3)
    _, rows = roll(environment._replace(length=2), jax.random.key(0), 2, steps=5)
    assert rows.ages[:, 0].tolist() == [0, 1, 2, 0, 1]
    assert rows.last[:, 0].tolist() == [False, False, True, False, False]
    assert (rows.rewards[2] == 0).all()
    assert (rows.rewards[[0, 1, 3, 4]] < 0).all()
    assert not np.array_equal(rows.frames[0], rows.frames[3])


def test_shapes_cover_their_area_and_lie_where_they_should():
    size = 32
    disc = np.asarray(drawing.disc(size, jnp.array([0.5, 0.5]), 0.3))
    assert disc.sum() * (2 / size) ** 2 == pytest.approx(np.pi * 0.09, rel=0.02)
    rows, columns = np.nonzero(disc > 0.5)
    # x goes to the right, y upwards.
    assert rows.max() < size / 2 <= columns.min()
    line = np.asarray(drawing.line(size, jnp.array([-0.5, 0.0]), jnp.array([0.5, 0.0]), 0.25))
    assert line.sum() * (2 / size) ** 2 == pytest.approx(0.25 + np.pi * 0.125**2, rel=0.03)
    assert ((line > 0) & (line < 1)).any()


def test_the_smallest_turn_of_the_pendulum_shows():
    draw = pendulum.dynamics(24).draw
    first, second = (np.asarray(draw(Swing(jnp.float32(angle), jnp.float32(0)))) for angle in (0.3, 0.33))
    assert first.dtype == np.uint8
    assert np.abs(first.astype(int) - second).max() > 10


def test_a_task_that_is_not_there_is_named():
    with pytest.raises(SystemExit, match="task 'pendel' is unknown; did you mean 'pendulum'"):
        tasks.make("pendel", 24, 2, 3)


def test_the_pendulum_is_that_of_gymnax():
    gymnax = pytest.importorskip("gymnax")
    theirs, params = gymnax.make("Pendulum-v1")
    ours = pendulum.dynamics(8)
    for seed in range(20):
        keys = jax.random.split(jax.random.key(seed), 3)
        angle, speed = jax.random.uniform(keys[0], (2,), minval=-8, maxval=8)
        action = jax.random.uniform(keys[1], (1,), minval=-1, maxval=1)
        state = theirs.reset_env(keys[2], params)[1]
        begun = ours.reset(keys[2])
        np.testing.assert_allclose([state.theta, state.theta_dot], begun, rtol=1e-6)
        _, moved, reward, _, _ = theirs.step_env(
            keys[2], state.replace(theta=angle, theta_dot=speed), params.max_torque * action, params
        )
        swung, own, done = ours.step(keys[2], Swing(angle, speed), action)
        np.testing.assert_allclose(swung, [moved.theta, moved.theta_dot], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(own, reward, rtol=1e-5)
        assert not done


@pytest.mark.parametrize(
    ("name", "frame", "actions"),
    [
        ("CartPole-v1", (16, 16, 1), 2),
        ("MountainCarContinuous-v0", (16, 16, 1), 1),
        ("Acrobot-v1", (16, 16, 1), 3),
        ("Breakout-MinAtar", (10, 10, 4), 3),
    ],
)
def test_environments_of_gymnax_run_and_show_something(name, frame, actions):
    pytest.importorskip("gymnax")
    environment = tasks.make(f"gymnax:{name}", 16, 1, 1)
    assert (environment.frame, environment.actions) == (frame, actions)
    _, rows = roll(environment, jax.random.key(0), 2, steps=12)
    assert rows.frames.dtype == np.uint8
    assert rows.frames.std() > 0
    assert np.isfinite(rows.rewards).all()


def test_a_game_ends_where_it_is_lost_and_not_at_its_time_limit():
    pytest.importorskip("gymnax")
    environment = tasks.make("gymnax:CartPole-v1", 8, 1, 1)
    assert environment.length == 500
    _, rows = roll(environment, jax.random.key(0), 1, steps=30)
    # Pushed in one direction always, the pole falls; the row after that is the last of its episode.
    fell = int(np.flatnonzero(rows.done[:, 0])[0])
    assert rows.last[fell + 1, 0]
    assert rows.ages[fell + 2, 0] == 0
