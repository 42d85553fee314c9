"""A population that is trained together is the members trained alone, whatever the layout."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxevo import Member, data, pruning, training
from jaxevo.interop import trainable_from_flax
from tests.compilations import count_compilations
from tests.pruning.tasks import CLASSES, FEATURES, TRAIN, VALID
from tests.training.test_fitting import Small

SPACE = pruning.neurons(pruning.head(FEATURES, CLASSES, (80,)))
OPTIMIZER = optax.sgd(0.05, momentum=0.9, nesterov=True)
LEARNER = training.learner(SPACE, training.cross_entropy, OPTIMIZER)
KEY = jax.random.key(3)
population = functools.partial(training.population, SPACE, LEARNER, TRAIN, epochs=12, batch=16, valid=VALID)


def members(count=3):
    # Densities 0.5, 0.27 and 0.94: compacted, two widths.
    genomes = SPACE.sample(jax.random.split(jax.random.key(1), 3)[0], count)
    return jax.vmap(SPACE.init)(jax.random.split(jax.random.key(2), count), genomes)


@pytest.fixture(scope="module")
def alone():
    """Each member trained by `fit`, the members stacked, and how many epochs each ran."""
    judge = jax.jit(LEARNER.score)
    valid = data.Batch(VALID.inputs, VALID.labels, np.ones(len(VALID), bool))
    best, epochs = [], []
    for index in range(3):
        member = LEARNER.begin(jax.tree.map(lambda leaf, i=index: leaf[i], members()))
        found, history = training.fit(
            jax.random.fold_in(KEY, index),
            member,
            LEARNER.update,
            TRAIN,
            epochs=12,
            batch=16,
            score=lambda member: float(judge(member, valid)),
            patience=3,
        )
        best.append(found)
        epochs.append(len(history))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *best), epochs


def close(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5), a, b)


@pytest.mark.smoke
@pytest.mark.parametrize(("layout", "compact"), [("scan", True), ("abreast", False), ("steps", True)])
def test_members_of_a_population_are_those_trained_alone(alone, layout, compact):
    fitted = population(patience=3, layout=layout, compact=compact)(KEY, members())
    expected, epochs = alone
    # Members stop for themselves: not all at once.
    assert len(set(epochs)) > 1
    assert fitted.epochs.tolist() == epochs
    close(fitted.members.params, expected.params)
    assert fitted.members.optimizer_state is None
    assert np.isfinite(fitted.scores).all()


def test_programs_are_compiled_with_less_optimisation_where_there_are_many():
    assert population(layout="steps", compact=True).brief
    assert not population(layout="scan", compact=True).brief
    assert not population(layout="steps", compact=False).brief
    assert population(compact=False, brief=True).brief
    assert population(brief=True).identity != population(brief=False).identity


def test_members_are_the_same_however_their_programs_are_compiled():
    # An update of its own, which no other test has compiled.
    learner = training.learner(SPACE, training.cross_entropy, OPTIMIZER)
    fit = functools.partial(training.population, SPACE, learner, TRAIN, epochs=2, batch=16, layout="steps")
    with count_compilations() as compiled:
        soon, full = (fit(compact=True, brief=brief)(KEY, members()) for brief in (True, False))
    assert len([name for name in compiled if "step" in name]) == 4, "two widths, compiled either way"
    close(soon, full)


def test_a_member_does_not_depend_on_the_others():
    fit = population(layout="scan")
    whole = fit(KEY, members())
    keys = jax.vmap(jax.random.fold_in, (None, 0))(KEY, jnp.arange(3))
    part = fit(keys[1:2], jax.tree.map(lambda leaf: leaf[1:2], members()))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[1], b[0]), whole.members, part.members)


def test_an_optimiser_state_that_comes_goes_on_and_comes_back():
    # Two trainings of one step each with momentum are not one that forgets it in between.
    half = functools.partial(training.population, SPACE, LEARNER, TRAIN, epochs=1, batch=48)
    started = jax.vmap(LEARNER.begin)(members())
    kept = half(layout="scan", compact=True)(KEY, half(layout="scan", compact=True)(KEY, started).members)
    masked = half(layout="abreast", compact=False)(KEY, half(layout="abreast", compact=False)(KEY, started).members)
    close(kept.members, masked.members)
    forgot = half()(KEY, half()(KEY, members()).members)
    momentum = kept.members.params[0]["kernel"] - forgot.members.params[0]["kernel"]
    assert np.abs(momentum).max() > 1e-4


def test_no_member_is_compiled_for_on_its_own():
    fit = population(layout="scan", compact=True, threads=1)
    fit(KEY, members())
    with count_compilations() as compiled:
        fit(jax.random.key(9), members(8))
    # Only stacking and keys of another number of members.
    assert not [name for name in compiled if "alone" in name]


def test_a_population_of_one_architecture_trains_with_its_state():
    labels = TRAIN.labels
    split = data.Split(TRAIN.inputs[:, :6], labels)
    trainable = trainable_from_flax(Small(), split.inputs)
    learner = training.learner(trainable, training.cross_entropy, optax.adam(1e-2))
    begun = [training.start(jax.random.key(i), trainable, optax.adam(1e-2)) for i in range(2)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *begun)
    fitted = training.population(trainable, learner, split, epochs=2, batch=16)(KEY, stacked)
    assert np.isnan(fitted.scores).all()
    assert fitted.epochs.tolist() == [2, 2]
    last, _ = training.fit(jax.random.fold_in(KEY, 1), begun[1], learner.update, split, epochs=2, batch=16)
    close(jax.tree.map(lambda leaf: leaf[1], fitted.members.state), last.state)


def test_any_update_can_train_a_population():
    """A learner that counts the examples of each class, which has no loss."""

    def update(key, member, batch):
        return member._replace(params=member.params.at[batch.labels].add(batch.mask)), {"seen": batch.mask.sum()}

    learner = training.Learner(lambda member: member._replace(optimizer_state=()), update)
    start = Member(np.zeros((2, 1)), np.zeros((2, CLASSES), np.int32), (), None)
    fitted = training.population(SPACE, learner, TRAIN, epochs=3, batch=20, compact=False)(KEY, start)
    np.testing.assert_array_equal(fitted.members.params, [3 * np.bincount(TRAIN.labels)] * 2)
    assert fitted.metrics["seen"].shape == (2,)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"learner": LEARNER.update}, TypeError, "make one with training.learner"),
        ({"epochs": 0}, ValueError, "epochs is 0"),
        ({"batch": 64}, ValueError, "batch is 64, but the split has 48"),
        ({"patience": 3, "valid": None}, ValueError, "patience is 3 without valid"),
        ({"layout": "vmap"}, ValueError, "layout is 'vmap'"),
        ({"valid": VALID.inputs}, TypeError, "valid is a ndarray"),
        ({"learner": LEARNER._replace(score=None)}, ValueError, "the learner has no score"),
        ({"split": data.Split(TRAIN.inputs[:, 1:], TRAIN.labels)}, ValueError, "split: inputs have shape"),
        ({"valid": data.Split(VALID.inputs[:, 1:], VALID.labels)}, ValueError, "valid: inputs have shape"),
        ({"split": data.Split(TRAIN.inputs, TRAIN.labels + CLASSES)}, ValueError, "split.labels lie in"),
        ({"valid": data.Split(VALID.inputs, VALID.labels + CLASSES)}, ValueError, "valid.labels lie in"),
    ],
)
def test_wrong_arguments_are_refused(change, error, message):
    given = {"learner": LEARNER, "split": TRAIN, "epochs": 1, "batch": 16, "valid": VALID} | change
    with pytest.raises(error, match=message):
        training.population(SPACE, **given)


def test_a_training_is_known_by_its_augmentation():
    augment = data.augment
    made = [None, augment.shift(1), augment.shift(2), augment.chain(augment.shift(2), augment.flip())]
    names = [population(augment=one).identity["augment"] for one in made]
    assert names == [None, "shift(1)", "shift(2)", "chain(shift(2), flip())"]


def test_members_that_are_no_stack_are_refused():
    fit = population()
    with pytest.raises(TypeError, match="expected stacked Members"):
        fit(KEY, SPACE.sample(KEY, 2))
    with pytest.raises(ValueError, match="key holds 2 keys for 3 members"):
        fit(jax.random.split(KEY, 2), members())
    assert fit.memory_bytes(members()) > 3 * 80 * FEATURES
