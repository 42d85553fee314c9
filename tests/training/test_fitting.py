import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxevo import Member, data, training
from jaxevo.interop import trainable_from_flax

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 50).astype(np.int32)
SPLIT = data.Split((RNG.normal(size=(50, 6)) + np.eye(6)[LABELS] * 3).astype(np.float32), LABELS)
KEY = jax.random.key(4)


class Small(nn.Module):
    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.BatchNorm(use_running_average=not train)(nn.relu(nn.Dense(8)(x)))
        return nn.Dense(3)(nn.Dropout(0.1, deterministic=not train)(x))


@pytest.fixture(scope="module")
def parts():
    trainable, optimizer = trainable_from_flax(Small(), SPLIT.inputs), optax.adam(optax.linear_schedule(0.1, 0.0, 60))
    update = training.supervised(trainable, training.cross_entropy, optimizer)
    return training.start(jax.random.key(0), trainable, optimizer), update


def jitter(key, inputs):
    return inputs + 0.01 * jax.random.normal(key, inputs.shape)


def same(a, b):
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in leaves)


@pytest.mark.smoke
def test_training_lowers_the_loss_and_leaves_its_argument_whole(parts):
    member, update = parts
    before = jax.tree.map(np.array, member)
    trained, history = training.fit(KEY, member, update, SPLIT, epochs=8, batch=16)
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert history[-1]["accuracy"] > 0.8
    assert same(member, before)
    assert not same(trained.state, before.state)


def test_a_fit_in_two_parts_gives_the_bits_of_one_in_one_part(parts):
    member, update = parts
    fit = functools.partial(training.fit, KEY, update=update, split=SPLIT, batch=16, augment=jitter)
    whole, history = fit(member=member, epochs=4)
    half, first = fit(member=member, epochs=2)
    again, second = fit(member=half, epochs=4, start_epoch=2)
    assert same(whole, again)
    assert history == first + second


def test_steps_and_scan_agree(parts):
    member, update = parts
    fit = functools.partial(training.fit, KEY, member, update, SPLIT, epochs=2, batch=16, augment=jitter)
    steps, scan = fit(layout="steps")[0], fit(layout="scan")[0]
    # A bias before a normalisation has no gradient but rounding, of which Adam makes steps of the learning rate.
    np.testing.assert_allclose(steps.params["Dense_1"]["kernel"], scan.params["Dense_1"]["kernel"], atol=1e-4)


def test_every_example_counts_once_in_an_epoch():
    def update(key, member, batch):
        seen = member.params.at[batch.labels].add(batch.mask)
        return member._replace(params=seen), {"share": batch.mask.mean()}

    numbered = data.Split(np.zeros((50, 1), np.float32), np.arange(50, dtype=np.int32))
    start = Member(None, jnp.zeros(50, jnp.int32), (), ())
    for layout in ("steps", "scan"):
        member, _ = training.fit(KEY, start, update, numbered, epochs=2, batch=16, layout=layout)
        assert (member.params == 2).all()


def test_early_stopping_returns_the_best_member_and_no_nan(parts):
    member, update = parts
    scores = iter([0.1, 0.5, 0.4, math.nan, 0.3, 0.9])
    seen = []
    best, history = training.fit(
        KEY,
        member,
        update,
        SPLIT,
        epochs=6,
        batch=16,
        score=lambda _: next(scores),
        patience=3,
        callback=lambda epoch, member, metrics: seen.append(member),
    )
    assert [h["epoch"] for h in history] == [0, 1, 2, 3, 4]
    assert same(best, seen[1])
    assert not same(best, seen[4])


class Pixelwise(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Conv(4, (3, 3))(nn.relu(nn.Conv(8, (3, 3))(x)))


def pictures_of_maps(count=24):
    """Noise, each position labelled by its sign; the last column counts nowhere."""
    inputs = np.random.default_rng(1).normal(size=(count, 6, 6, 1)).astype(np.float32)
    labels = np.where(np.arange(6) < 5, inputs[..., 0] > 0, -1).astype(np.int32)
    return data.Split(inputs, labels)


def test_maps_are_learned_while_they_move_with_the_pictures():
    split, optimizer = pictures_of_maps(), optax.adam(3e-2)
    trainable = trainable_from_flax(Pixelwise(), split.inputs)
    update = training.supervised(trainable, training.cross_entropy, optimizer)
    moved = data.augment.chain(data.augment.shift(2), data.augment.flip())
    member = training.start(KEY, trainable, optimizer)
    _, history = training.fit(KEY, member, update, split, epochs=20, batch=8, augment=moved)
    # Only labels that went along can be learned this well.
    assert history[-1]["accuracy"] > 0.85


def test_values_are_learned_and_have_no_accuracy():
    targets = (SPLIT.inputs[:, 0] - SPLIT.inputs[:, 1]).astype(np.float32)
    split, optimizer = data.Split(SPLIT.inputs, targets), optax.adam(3e-2)
    trainable = trainable_from_flax(nn.Dense(1), split.inputs, output="values")
    update = training.supervised(trainable, training.squared_error, optimizer)
    member = training.start(KEY, trainable, optimizer)
    _, history = training.fit(KEY, member, update, split, epochs=30, batch=16)
    assert history[-1]["loss"] < 0.1 * history[0]["loss"]
    assert "accuracy" not in history[0]


def test_an_augmentation_that_would_leave_maps_behind_is_refused(parts):
    split = pictures_of_maps()
    fit = functools.partial(training.fit, KEY, *parts, epochs=1, batch=8)
    with pytest.raises(TypeError, match=r"labels are maps \[24, 6, 6\] that must move .* write Augment"):
        fit(split, augment=jitter)
    smaller = data.Split(split.inputs, split.labels[:, ::2, ::2])
    with pytest.raises(ValueError, match=r"labels are maps \[24, 3, 3\] of inputs \[24, 6, 6, 1\].*same height"):
        fit(smaller, augment=data.augment.flip())
    with pytest.raises(TypeError, match="augment is 'flip'"):
        fit(SPLIT, augment="flip")


def test_an_augmentation_may_make_inputs_of_what_the_network_takes(parts):
    wide = data.Split(np.pad(SPLIT.inputs, [(0, 0), (0, 2)]), LABELS)
    cropped = training.fit(KEY, *parts, wide, epochs=1, batch=16, augment=lambda key, inputs: inputs[:, :6])[0]
    assert same(cropped, training.fit(KEY, *parts, SPLIT, epochs=1, batch=16)[0])


def test_labels_of_a_loss_of_ones_own_are_its_own_matter():
    trainable, optimizer = trainable_from_flax(Small(), SPLIT.inputs), optax.sgd(0.1)

    def coarse(outputs, labels, mask):
        return training.cross_entropy(outputs, labels // 4, mask, smoothing=0.1)

    fine = data.Split(SPLIT.inputs, LABELS * 4)
    member = training.start(KEY, trainable, optimizer)
    fit = functools.partial(training.fit, KEY, member, split=fine, epochs=2, batch=16)
    history = fit(update=training.supervised(trainable, coarse, optimizer))[1]
    assert history[1]["loss"] < history[0]["loss"]
    smooth = functools.partial(training.cross_entropy, smoothing=0.1)
    with pytest.raises(ValueError, match=r"labels lie in \[0, 8\]"):
        fit(update=training.supervised(trainable, smooth, optimizer))


def test_masked_examples_do_not_change_the_loss():
    outputs, labels = jnp.array([[2.0, 0.0], [0.0, 1.0], [9.0, 9.0]]), jnp.array([0, 0, 1])
    mask = jnp.array([True, True, False])
    expected = optax.softmax_cross_entropy_with_integer_labels(outputs[:2], labels[:2]).mean()
    np.testing.assert_allclose(training.cross_entropy(outputs, labels, mask), expected, rtol=1e-6)
    smooth = training.cross_entropy(outputs, labels, mask, smoothing=0.2)
    by_hand = -(jnp.array([[0.9, 0.1], [0.9, 0.1]]) * jax.nn.log_softmax(outputs[:2])).sum(-1).mean()
    np.testing.assert_allclose(smooth, by_hand, rtol=1e-6)
    assert training.cross_entropy(outputs, labels, jnp.zeros(3, bool)) == 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"key": 3}, TypeError, "fit: key is 3"),
        ({"member": {}}, TypeError, "make one with training.start"),
        ({"split": SPLIT.inputs}, TypeError, "expected a jaxevo.data.Split"),
        ({"batch": 0}, ValueError, "batch size is 0"),
        ({"batch": 64}, ValueError, "batch is 64, but the split has 50"),
        ({"epochs": -1}, ValueError, "epochs is -1"),
        ({"start_epoch": 9}, ValueError, "epochs is 1, expected a whole number of at least 9"),
        ({"patience": 2}, ValueError, "patience needs a score"),
        ({"patience": 0, "score": len}, ValueError, "patience is 0"),
        ({"layout": "vmap"}, ValueError, "layout is 'vmap'"),
        ({"split": data.Split(SPLIT.inputs, LABELS + 1)}, ValueError, r"fit: split.labels lie in \[1, 3\].*3 classes"),
        ({"split": data.Split(SPLIT.inputs, SPLIT.inputs)}, ValueError, "fit: split.labels are float32"),
        ({"split": data.Split(SPLIT.inputs[:, 1:], LABELS)}, ValueError, "fit: split: inputs have shape"),
    ],
)
def test_fit_refuses_what_cannot_work(parts, change, error, message):
    given = {"key": KEY, "member": parts[0], "update": parts[1], "split": SPLIT, "epochs": 1, "batch": 16} | change
    with pytest.raises(error, match=message):
        training.fit(**given)


def test_start_and_supervised_refuse_other_kinds(parts):
    trainable = trainable_from_flax(Small(), SPLIT.inputs)
    with pytest.raises(TypeError, match=r"expected a jaxevo\.Trainable"):
        training.start(KEY, Small(), optax.sgd(0.1))
    with pytest.raises(TypeError, match="expected an optax optimiser"):
        training.supervised(trainable, training.cross_entropy, 0.1)
    with pytest.raises(TypeError, match="loss is 'mse'"):
        training.supervised(trainable, "mse", optax.sgd(0.1))
