"""dm_control's tasks are functions of key, state and action, without a display."""

import jax
import numpy as np
import pytest

pytest.importorskip("dm_control")

from experiments.pbt_rl import control, tasks


@pytest.fixture(scope="module", params=["walker-walk", "quadruped-run", "humanoid-run"])
def environment(request):
    return tasks.make(f"control:{request.param}", 32, 2, 3)


def test_a_task_loads_is_drawn_and_steps(environment):
    state, first = environment.reset(jax.random.key(0))
    assert first.shape == (32, 32, 9)
    assert first.dtype == np.uint8
    assert first.std() > 5
    seen = first
    for step in range(4):
        state, seen, reward, done = environment.step(
            jax.random.key(step), state, np.full(environment.actions, 0.9, np.float32)
        )
        assert 0 <= reward <= 2
        assert not done
    np.testing.assert_array_equal(state.frames, seen)
    assert not np.array_equal(seen[..., -3:], first[..., -3:])
    assert environment.length == 500


def test_a_step_gives_the_same_bits_whatever_happened_before(environment):
    state, seen = environment.reset(jax.random.key(1))
    actions = np.linspace(-1, 1, environment.actions, dtype=np.float32)
    for _ in range(3):
        state, *_ = environment.step(jax.random.key(0), state, actions)
    first = environment.step(jax.random.key(0), state, actions)
    again, other = environment.reset(jax.random.key(1)), environment.reset(jax.random.key(2))
    environment.step(jax.random.key(0), other[0], -actions)
    second = environment.step(jax.random.key(0), state, actions)
    jax.tree.map(np.testing.assert_array_equal, first, second)
    jax.tree.map(np.testing.assert_array_equal, again, (again[0], seen))
    assert not np.array_equal(again[0].integrated, other[0].integrated)


def test_actions_that_are_no_numbers_do_not_stop_a_run(environment):
    state, _ = environment.reset(jax.random.key(0))
    _, _, reward, _ = environment.step(jax.random.key(0), state, np.full(environment.actions, np.nan))
    assert np.isfinite(reward)


def test_a_task_that_the_suite_lacks_is_named():
    with pytest.raises(SystemExit, match="task control:walker-swim is unknown"):
        control.environment("control:walker-swim", "walker-swim", 32, 2, 3)
