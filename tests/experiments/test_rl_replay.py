"""The ring of rows gives back what was put into it, and only whole transitions of one episode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.pbt_rl import replay
from experiments.pbt_rl.replay import Rows

STACK, STEPS, DISCOUNT = 3, 3, 0.9
CAPACITY, ENVIRONMENTS = 20, 2


def episode(length, environment, number):
    """Rows of one episode, the one after its last step included; each frame says where it comes from."""
    rows = []
    for age in range(length + 1):
        last = age == length
        value = 10 * number + age
        rows.append(
            Rows(
                np.full((2, 2, 1), (100 * environment + value) % 251, np.uint8), np.int32(age),
                np.full(1, value, np.float32), np.float32(0 if last else value + 1),
                np.bool_(age == length - 1 and number % 2 == 1), np.bool_(last),
            )
        )  # fmt: skip
    return rows


@pytest.fixture(scope="module", params=[12, 20, 33], ids=["filling", "full", "wrapped"])
def filled(request):
    streams = [
        [row for number in range(8) for row in episode(5 + environment, environment, number)]
        for environment in range(ENVIRONMENTS)
    ]
    rows = [jax.tree.map(lambda *leaves: np.stack(leaves), *both) for both in zip(*streams, strict=False)]
    rows = rows[: request.param]
    buffer = replay.empty(CAPACITY, ENVIRONMENTS, (2, 2, 1), 1)
    add = jax.jit(replay.add, donate_argnums=0)
    for row in rows:
        buffer = add(buffer, row)
    return buffer, rows


def expected(rows):
    """All transitions by loops: (action, observation, return, discount, following)."""
    oldest, found = max(len(rows) - CAPACITY, 0), []
    for place in range(oldest, len(rows)):
        for column in range(ENVIRONMENTS):
            window = range(place, place + STEPS)
            if place + STEPS >= len(rows) or any(rows[step].last[column] for step in window):
                continue
            if place - min(int(rows[place].ages[column]), STACK - 1) < oldest:
                continue
            returned, left = 0.0, 1.0
            for step in window:
                returned += left * float(rows[step].rewards[column])
                left *= DISCOUNT * (not rows[step].done[column])
            seen = [observed(rows, at, column) for at in (place, place + STEPS)]
            found.append(
                (float(rows[place].actions[column, 0]), *seen[0], round(returned, 3), round(left, 4), *seen[1])
            )
    return found


def observed(rows, place, column):
    age = int(rows[place].ages[column])
    return [int(rows[place - min(back, age)].frames[column, 0, 0, 0]) for back in reversed(range(STACK))]


def test_transitions_are_those_that_loops_find_each_equally_often(filled):
    buffer, rows = filled
    draw = jax.jit(lambda key: replay.sample(key, buffer, 4000, stack=STACK, steps=STEPS, discount=DISCOUNT))
    drawn = jax.device_get(draw(jax.random.key(0)))
    came = [
        (
            float(drawn.actions[i, 0]), *drawn.observations[i, 0, 0].tolist(), round(float(drawn.returns[i]), 3),
            round(float(drawn.discounts[i]), 4), *drawn.following[i, 0, 0].tolist(),
        )
        for i in range(4000)
    ]  # fmt: skip
    wanted = expected(rows)
    assert set(came) == set(wanted)
    counts = np.array([came.count(one) for one in wanted])
    assert abs(counts - 4000 / len(wanted)).max() < 6 * np.sqrt(4000 / len(wanted))


def test_the_ring_holds_the_newest_rows(filled):
    buffer, rows = filled
    assert int(buffer.added) == len(rows)
    for number, row in enumerate(rows[-CAPACITY:], start=max(len(rows) - CAPACITY, 0)):
        held = jax.tree.map(lambda leaf, place=number % CAPACITY: leaf[place], buffer.rows)
        jax.tree.map(np.testing.assert_array_equal, held, row)


def test_a_ring_without_a_whole_transition_offers_none():
    buffer = replay.empty(CAPACITY, 1, (2, 2, 1), 1)
    for row in episode(5, 0, 0)[:STEPS]:
        buffer = replay.add(buffer, jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], row))
    assert not replay.startable(buffer, STACK, STEPS).any()
