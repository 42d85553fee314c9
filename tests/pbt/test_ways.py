"""A masked member, the one cut to its true size and the one trained alone are one member."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxevo import Member, data, pbt, training
from jaxevo.training import compaction
from tests.pbt.architectures import CLASSES, KEY, adversaries, close, everything, genome, row, same, stirred, unused

MEMBERS = 4
ARCHITECTURE = everything()
SPACE = pbt.layers(ARCHITECTURE)
RNG = np.random.default_rng(0)
SPLIT = data.Split(
    RNG.normal(size=(18, 6, 6, 2)).astype(np.float32), RNG.integers(0, CLASSES, 18).astype(np.int32)
)  # fmt: skip


@functools.cache
def members():
    """Returns untrained members whose genomes hold every option."""
    genomes = SPACE.sample(jax.random.key(2), MEMBERS)
    return jax.device_get(jax.jit(jax.vmap(SPACE.init))(jax.random.split(jax.random.key(1), MEMBERS), genomes))


OPTIMIZER = optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.05, momentum=0.9))
LEARNER = training.learner(SPACE, training.cross_entropy, OPTIMIZER)


def trained(**ways):
    fit = training.population(SPACE, LEARNER, SPLIT, epochs=2, batch=6, threads=1, **ways)
    return fit(jax.random.key(3), jax.jit(jax.vmap(LEARNER.begin))(members())).members


def test_the_genomes_hold_every_option():
    genomes = np.asarray(members().genome)
    for column, gene in zip(genomes.T, ARCHITECTURE.genes, strict=True):
        assert set(column) == set(range(len(gene.options))), gene


@jax.jit
def look(member, inputs, labels):
    """Returns outputs, outputs while it trains, the state after them and the gradient."""

    def loss(params):
        outputs, state = SPACE.learning.forward(member._replace(params=params), inputs, KEY, True)
        return training.cross_entropy(outputs, labels, jnp.ones(len(labels), bool)), (outputs, state)

    gradient, (outputs, state) = jax.grad(loss, has_aux=True)(member.params)
    return SPACE.learning.forward(member, inputs, None, False)[0], outputs, state, gradient


@functools.cache
def looked(index):
    """Returns a member and what `look` gives of it."""
    member = stirred(ARCHITECTURE, row(members(), index), index)
    return member, jax.device_get(look(member, SPLIT.inputs[:6], SPLIT.labels[:6]))


@pytest.mark.parametrize("index", range(MEMBERS))
def test_a_masked_member_is_the_compacted_one(index):
    member, (plain, moving, state, gradient) = looked(index)
    small = SPACE.learning.compact(member)
    found = look(small, SPLIT.inputs[:6], SPLIT.labels[:6])
    close(found[:2], (plain, moving))
    assert sum(leaf.size for leaf in jax.tree.leaves(small)) < sum(leaf.size for leaf in jax.tree.leaves(member))
    whole = SPACE.learning.expand(small._replace(state=found[2], params=found[3]), member)
    close(whole.params, gradient)
    close(whole.state, state)


@pytest.mark.parametrize("index", range(MEMBERS))
def test_what_a_genome_does_not_use_has_no_gradient_and_stays_zero_under_weight_decay(index):
    member, (_, _, _, gradient) = looked(index)
    none = unused(ARCHITECTURE, member)
    moved = jax.device_get(adamw(member, gradient))
    moments = moved.optimizer_state[0]
    for tree in (gradient, member.params, moved.params, moments.mu, moments.nu):
        jax.tree.map(lambda leaf, off: np.testing.assert_array_equal(leaf[off], 0), tree, none)
    assert any(off.any() for off in jax.tree.leaves(none))
    used = jax.tree.map(lambda leaf, old, off: (leaf != old)[~off], moved.params, member.params, none)
    assert all(leaf.all() for leaf in jax.tree.leaves(used)), "weight decay reaches all that is used"


@jax.jit
def adamw(member, gradient):
    """Returns a member after two steps along a gradient."""
    optimizer = optax.adamw(0.01, weight_decay=0.5)
    params, state = member.params, optimizer.init(member.params)
    for _ in range(2):
        changes, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, changes)
    return member._replace(params=params, optimizer_state=state)


@pytest.mark.parametrize("index", range(MEMBERS))
def test_a_member_that_was_cut_comes_back_to_the_bit(index):
    before, (_, _, _, gradient) = looked(index)
    member = jax.device_get(adamw(before, gradient))
    small = compaction.compacted(SPACE.learning, member)
    same(compaction.expanded(SPACE.learning, small, member), member)
    shapes = [[leaf.shape for leaf in jax.tree.leaves(tree)] for tree in (small.params, small.optimizer_state[0].mu)]
    assert shapes[0] == shapes[1]


def test_members_trained_masked_at_their_true_size_and_alone_are_the_same():
    masked = trained(compact=False, layout="abreast")
    together = trained(compact=True, layout="steps")
    close(together, masked)
    for index in range(MEMBERS):
        expected = row(masked, index)
        started = LEARNER.begin(SPACE.learning.compact(row(members(), index)))
        alone, _ = training.fit(
            jax.random.fold_in(jax.random.key(3), index), started, LEARNER.update, SPLIT, epochs=2, batch=6,
            layout="steps",
        )  # fmt: skip
        close(SPACE.learning.expand(jax.device_get(alone), expected).params, expected.params)
        moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), expected.params, row(members(), index).params)
        assert max(jax.tree.leaves(moved)) > 1e-2


def test_averages_follow_the_generator_either_way():
    architecture = adversaries()
    space = pbt.layers(architecture)
    rules = training.adversarial(pbt.game(architecture), optax.sgd(0.05), average=0.5)
    split = data.Split(RNG.uniform(-1, 1, (8, 4, 4, 1)).astype(np.float32), np.zeros(8, np.int32))
    # Of the first options, which are the smallest.
    begun = Member(genome(architecture), space.params["params"], space.params["state"], None)
    started = jax.tree.map(lambda leaf: np.asarray(leaf)[None], rules.begin(begun))
    small, member = (
        row(training.population(
            space, rules, split, epochs=2, batch=4, threads=1, layout="steps", compact=compact
        )(KEY, started).members, 0)
        for compact in (True, False)
    )  # fmt: skip
    close(small, member)
    assert member.state["average"].keys() == {"project", "maps", "make", "picture"}
    latents = RNG.normal(size=(5, 3)).astype(np.float32)
    run = jax.jit(
        lambda params: architecture.run(
            "generator", params, member.state, jnp.asarray(member.genome), latents, None, False
        )[0]
    )
    learned, averaged = run(member.params), run({**member.params, **member.state["average"]})
    close(space.network(member)(latents), averaged)
    assert np.abs(learned - averaged).max() > 1e-3
