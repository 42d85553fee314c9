"""Two networks that learn from each other: who moves when, by what, and that they come to something."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxevo import Member, data, training
from jaxevo.evaluation import distances
from jaxevo.training import games

KEY = jax.random.key(4)
RATE = 0.1
BATCH = 8
START = {"scale": np.float32(0.5), "shift": np.float32(0.2), "weight": np.float32(0.7), "bias": np.float32(-0.1)}
RNG = np.random.default_rng(0)
REAL = RNG.normal(2, 0.3, (BATCH, 1)).astype(np.float32)


def counted(member, which):
    """Counts in a member's state which network ran."""
    return {**member.state, which: member.state[which] + 1}


def generate(member, latents, key, train):
    return latents * member.params["scale"] + member.params["shift"], counted(member, "generated")


def discriminate(member, examples, key, train):
    scores = (examples * member.params["weight"] + member.params["bias"])[:, 0]
    return scores, counted(member, "discriminated")


GAME = training.Game(
    generate, discriminate, ("scale", "shift"), ("weight", "bias"), jax.ShapeDtypeStruct((1,), jnp.float32), 1
)


def start(learner, follows=False):
    state = {"generated": jnp.zeros(()), "discriminated": jnp.zeros(())}
    own = {"average": {name: jnp.asarray(START[name]) for name in ("scale", "shift")}} if follows else {}
    return learner.begin(Member(None, dict(START), state | own, None))


def play(mask=None, follows=False, **settings):
    """Returns the member after a step, and the metrics."""
    learner = training.adversarial(GAME, optax.sgd(RATE), **settings)
    batch = data.Batch(REAL, np.zeros(BATCH, np.int32), np.ones(BATCH, bool) if mask is None else np.asarray(mask))
    return jax.device_get(jax.jit(learner.update)(KEY, start(learner, follows), batch))


def latents(part, count, splits):
    """Returns the latents of a part of the batch, which the first of its keys draws."""
    return np.asarray(jax.random.normal(jax.random.split(jax.random.fold_in(KEY, part), splits)[0], (count, 1)))[:, 0]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


#: By name what is descended and its slope: of real examples, of made ones, and the generator's.
BY_HAND = {
    "hinge": (
        (lambda s: np.maximum(1 - s, 0), lambda s: -1.0 * (s < 1)),
        (lambda s: np.maximum(1 + s, 0), lambda s: 1.0 * (s > -1)),
        (lambda s: -s, lambda s: -np.ones_like(s)),
    ),
    "logistic": (
        (lambda s: np.log1p(np.exp(-s)), lambda s: sigmoid(s) - 1),
        (lambda s: np.log1p(np.exp(s)), sigmoid),
        (lambda s: np.log1p(np.exp(-s)), lambda s: sigmoid(s) - 1),
    ),
}


def by_hand(loss, ratio=1, multiplier=1, mask=None):
    """Returns parameters and metrics after a step, in double precision."""
    p = {name: float(value) for name, value in START.items()}
    real, made, against = BY_HAND[loss]
    size = BATCH // ratio
    counts = np.ones(BATCH, bool) if mask is None else np.asarray(mask)
    for part in range(ratio):
        rows = slice(part * size, (part + 1) * size)
        share = counts[rows] / max(counts[rows].sum(), 1)
        x, y = REAL[rows, 0].astype(float), latents(part, size, 4) * p["scale"] + p["shift"]
        scores, fakes = x * p["weight"] + p["bias"], y * p["weight"] + p["bias"]
        discriminator = (share * (real[0](scores) + made[0](fakes))).sum()
        slopes = share * real[1](scores), share * made[1](fakes)
        p["weight"] -= RATE * ((slopes[0] * x).sum() + (slopes[1] * y).sum())
        p["bias"] -= RATE * (slopes[0].sum() + slopes[1].sum())
    z = latents(ratio, multiplier * size, 3)
    scores = (z * p["scale"] + p["shift"]) * p["weight"] + p["bias"]
    slope = against[1](scores) * p["weight"] / len(z)
    generator = against[0](scores).mean()
    p["scale"] -= RATE * (slope * z).sum()
    p["shift"] -= RATE * slope.sum()
    return p, {"loss": generator, "discriminator": discriminator}


@pytest.mark.parametrize(
    "settings",
    [{"loss": "hinge"}, {"loss": "logistic", "ratio": 2}, {"loss": "hinge", "ratio": 2, "multiplier": 3}],
)
def test_each_network_descends_its_own_loss_and_leaves_the_other_alone(settings):
    """By hand the discriminator moves against the old generator, the generator against the new discriminator."""
    member, metrics = play(**settings)
    params, expected = by_hand(**settings)
    assert member.params.keys() == params.keys()
    for name, value in params.items():
        np.testing.assert_allclose(member.params[name], value, rtol=1e-5)
        assert abs(value - START[name]) > 1e-4, name
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-5)
    steps = settings.get("ratio", 1)
    assert (member.state["generated"], member.state["discriminated"]) == (steps + 1, 2 * steps + 1)


@pytest.mark.parametrize("count", [6, 3])
def test_padding_teaches_nothing(count):
    # Of two parts, the second one is padded in part, or altogether.
    mask = np.arange(BATCH) < count
    member, metrics = play(mask, ratio=2)
    params, expected = by_hand("hinge", 2, mask=mask)
    for found, wanted in ((member.params, params), (metrics, expected)):
        for name, value in wanted.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)
    other = np.where(mask[:, None], REAL, 99)
    learner = training.adversarial(GAME, optax.sgd(RATE), ratio=2)
    again, _ = learner.update(KEY, start(learner), data.Batch(other, None, mask))
    np.testing.assert_allclose(again.params["weight"], member.params["weight"], rtol=1e-6)


def test_averages_follow_the_generator():
    member, _ = play(follows=True, average=0.9)
    assert member.state["average"].keys() == {"scale", "shift"}
    for name, value in member.state["average"].items():
        np.testing.assert_allclose(value, 0.9 * START[name] + 0.1 * member.params[name], rtol=1e-6)


def test_each_network_has_an_optimiser_state_of_its_own():
    learner = training.adversarial(GAME, optax.adam(0.1))
    member = start(learner)
    assert member.optimizer_state["generator"][0].mu.keys() == {"scale", "shift"}
    batch = data.Batch(REAL, None, np.ones(BATCH, bool))
    learner = training.adversarial(GAME, optax.adam(0.1), ratio=4)
    moved, _ = jax.jit(learner.update)(KEY, member, batch)
    counts = [int(moved.optimizer_state[name][0].count) for name in ("generator", "discriminator")]
    assert counts == [1, 4]


def test_a_batch_that_cannot_be_cut_is_refused():
    with pytest.raises(ValueError, match="adversarial: ratio is 3, but batches have 8 examples; expected a multiple"):
        play(ratio=3)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"game": generate}, TypeError, "adversarial: game is a function, expected a Game"),
        ({"optimizer": 0.1}, TypeError, "adversarial: optimizer is 0.1, expected an optax optimiser"),
        ({"loss": "wasserstein"}, ValueError, "loss is 'wasserstein', expected one of 'hinge', 'logistic'"),
        ({"ratio": 0}, ValueError, "ratio is 0"),
        ({"multiplier": 1.5}, ValueError, "multiplier is 1.5"),
        ({"average": 1}, ValueError, r"average is 1, expected a number in \[0, 1\)"),
    ],
)
def test_wrong_arguments_are_refused(change, error, message):
    given = {"game": GAME, "optimizer": optax.sgd(0.1)} | change
    with pytest.raises(error, match=message):
        training.adversarial(**given)


def layers(params, x):
    x = jax.nn.leaky_relu(x @ params["in"] + params["bias"])
    return x @ params["out"] + params["last"]


def network(key, reads, gives, width=24):
    keys = jax.random.split(key)
    return {
        "in": jax.random.normal(keys[0], (reads, width)) / np.sqrt(reads), "bias": jnp.zeros(width),
        "out": jax.random.normal(keys[1], (width, gives)) / np.sqrt(width), "last": jnp.zeros(gives),
    }  # fmt: skip


def moments(samples):
    return distances.FeatureSums(len(samples), samples.sum(axis=0), samples.T @ samples)


def test_a_small_game_learns_a_normal_distribution():
    mix = np.array([[0.8, 0.5], [0.0, 0.4]])
    real = (RNG.normal(size=(512, 2)) @ mix + [1.5, -1]).astype(np.float32)
    game = training.Game(
        lambda member, latents, key, train: (layers(member.params["generator"], latents), member.state),
        lambda member, x, key, train: (layers(member.params["discriminator"], x)[:, 0], member.state),
        ("generator",), ("discriminator",), jax.ShapeDtypeStruct((2,), jnp.float32), 4,
    )  # fmt: skip
    learner = training.adversarial(game, optax.adam(3e-3, b1=0.5), loss="logistic", average=0.98)
    params = {"generator": network(KEY, 4, 2), "discriminator": network(jax.random.key(1), 2, 1)}
    member = learner.begin(Member(None, params, {"average": {"generator": params["generator"]}}, None))
    ended, _ = training.fit(
        KEY, member, learner.update, data.Split(real, np.zeros(512, np.int32)), epochs=60, batch=64, layout="scan"
    )
    drawn = RNG.normal(size=(512, 4)).astype(np.float32)
    fell = [
        distances.distance(moments(np.asarray(layers(one, drawn), float)), moments(real.astype(float)))
        for one in (params["generator"], ended.params["generator"], ended.state["average"]["generator"])
    ]
    assert fell[1] < fell[0] / 4, fell
    assert fell[2] < fell[0] / 10, fell


def test_losses_are_those_of_scores():
    scores = np.linspace(-3, 3, 7)
    for name, functions in BY_HAND.items():
        for ours, (expected, _) in zip(games.LOSSES[name], functions, strict=True):
            np.testing.assert_allclose(ours(jnp.asarray(scores)), expected(scores), rtol=1e-5)
