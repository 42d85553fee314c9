"""Children are what the paper says: layers of the other parent, shrunk and perturbed, and the better one to the bit."""

import functools

import jax
import numpy as np
import optax

from jaxevo import Member, pbt
from jaxevo.pbt import extents
from tests.pbt.architectures import adversaries, genome, same, stirred, unused

ARCHITECTURE = adversaries()
NAMES = [layer.name for layer in ARCHITECTURE.layers]
KEY = jax.random.key(7)
ADAM = optax.adam(0.1)

#: The other parent makes more channels, and looks in the same shapes.
BETTER = genome(ARCHITECTURE, make_operation="conv3", look_operation="conv3")
OTHER = genome(ARCHITECTURE, make_width=4, look_operation="conv3", look_activation="relu")
TAKEN = ("make", "look")

init = jax.jit(ARCHITECTURE.init)


@functools.cache
def space(shrink=0.4, perturb=0.1):
    return pbt.layers(ARCHITECTURE, shrink=shrink, perturb=perturb)


def parent(chosen, seed):
    """Returns a member with numbers of its own everywhere, what its optimiser knows included."""
    member = stirred(ARCHITECTURE, Member(chosen, *space().params.values(), None), seed)
    # Moments like parameters of their own.
    moments = [stirred(ARCHITECTURE, member, seed + more).params for more in (1, 2)]
    adam, scale = ADAM.init(member.params)
    known = adam._replace(count=np.int32(seed), mu=moments[0], nu=moments[1])
    return member._replace(optimizer_state=jax.tree.map(np.asarray, (known, scale)))


@functools.cache
def parents():
    return parent(BETTER, 10), parent(OTHER, 20)


@functools.cache
def child(shrink=0.4, perturb=0.1, taken=TAKEN):
    breeding = space(shrink, perturb).learning.breeding
    return breeding.make(KEY, *parents(), np.isin(NAMES, taken))


@functools.cache
def fresh():
    """Returns what a new member of the child's architecture begins with, with the key that children draw with."""
    return jax.device_get(init(jax.random.fold_in(KEY, 1), child().genome))[0]


def used(member):
    """Returns, as trees like params, what the genome of a member uses: bool, of each array's shape."""
    return jax.tree.map(lambda off: ~off, unused(ARCHITECTURE, member))


def each(*trees):
    """Yields the name of the layer and the arrays of it, one from each tree."""
    for name in trees[0]:
        for leaves in zip(*(jax.tree.leaves(tree[name]) for tree in trees), strict=True):
            yield (name, *leaves)


def test_a_layer_comes_with_its_choices():
    expected = np.where(np.isin(NAMES, TAKEN)[ARCHITECTURE.owners], OTHER, BETTER)
    np.testing.assert_array_equal(child().genome, expected)
    assert (expected != BETTER).any()


def test_what_is_taken_over_is_shrunk_and_perturbed_and_all_else_is_the_better_parent():
    better, other = parents()
    for name, got, own, new, drawn, mask in each(
        child().params, better.params, other.params, fresh(), used(child())
    ):  # fmt: skip
        if name in TAKEN:
            np.testing.assert_array_equal(got, np.where(mask, np.float32(0.4) * new + np.float32(0.1) * drawn, 0))
            assert (got[mask] != own[mask]).all(), name
        else:
            np.testing.assert_array_equal(got, np.where(mask, own, 0))


def test_channels_that_a_kept_layer_did_not_know_have_no_weight():
    kernel = child().params["picture"]["kernel"]
    assert not kernel[:, :, 2:].any()
    assert kernel[:, :, :2].all()
    assert used(child())["picture"]["kernel"].all()


def test_statistics_and_averages_are_taken_over_as_they_are():
    for kind in ("statistics", "average"):
        for name, got, own, new in each(*(member.state[kind] for member in (child(), *parents()))):
            np.testing.assert_array_equal(got, new if name in TAKEN else own)
    assert child().state["statistics"]["make"]["mean"].any()
    assert child().state["average"].keys() == {"project", "maps", "make", "picture"}


def test_what_the_optimiser_knows_stays_where_the_shape_does():
    better, _ = parents()
    state, known = child().optimizer_state[0], better.optimizer_state[0]
    assert state.count == known.count
    before, after = (ARCHITECTURE.extents(np.asarray(member.genome))["params"] for member in (better, child()))
    forgotten = set()
    for moments, own in ((state.mu, known.mu), (state.nu, known.nu)):
        for name in NAMES:
            for kind in moments[name]:
                alike = extents.sizes(before[name][kind]) == extents.sizes(after[name][kind])
                kept = own[name][kind] if alike else np.zeros_like(own[name][kind])
                np.testing.assert_array_equal(moments[name][kind], kept)
                forgotten |= set() if alike else {f"{name} {kind}"}
    # The layer that looks is another one, but of the same shapes.
    assert forgotten == {"make kernel", "make bias", "make scale", "make shift", "picture kernel"}


def test_the_extremes_are_an_exact_copy_and_a_fresh_layer():
    _, other = parents()
    for name in TAKEN:
        same(child(1.0, 0.0).params[name], other.params[name])
        same(child(0.0, 1.0).params[name], fresh()[name])


def test_nothing_taken_is_the_better_parent_and_all_is_the_other():
    better, other = parents()
    same(child(taken=()), better)
    same(child(1.0, 0.0, tuple(NAMES))[:3], other[:3])


def test_layers_with_choices_are_taken_over_with_their_probability():
    draw = pbt.layers(ARCHITECTURE, probability=0.5).learning.breeding.draw
    taken = np.asarray(jax.vmap(draw)(jax.random.split(KEY, 200)))
    shares = dict(zip(NAMES, taken.mean(axis=0), strict=True))
    for name, share in shares.items():
        # Within four standard deviations.
        assert abs(share - 0.5) < 0.15 if name in TAKEN else share == 0, name


@functools.cache
def mutants():
    """Returns keys, the layers that each says it changes, and the mutants."""
    breeding, keys = pbt.mutation(ARCHITECTURE), jax.random.split(KEY, 90)
    taken = np.asarray(jax.vmap(breeding.draw)(keys))
    return keys, taken, [breeding.make(key, *parents(), layers) for key, layers in zip(keys, taken, strict=True)]


def kind_of(mutant):
    better, _ = parents()
    if (mutant.genome != better.genome).any():
        return "choice"
    moved = any((got != own).any() for _, got, own in each(mutant.params, better.params))
    return "weights" if moved else "nothing"


def test_a_third_of_the_mutants_each_changes_nothing_weights_or_a_choice():
    _, taken, made = mutants()
    found = [kind_of(mutant) for mutant in made]
    np.testing.assert_array_equal(taken.any(axis=1), [kind == "choice" for kind in found])
    for kind in ("nothing", "weights", "choice"):
        # Within four standard deviations; few weights may be none.
        assert abs(found.count(kind) - 30) < 18, (kind, found.count(kind))


def test_mutants_change_only_what_they_say():
    better, _ = parents()
    changed = set()
    for key, layers, mutant in zip(*mutants(), strict=True):
        kind = kind_of(mutant)
        if kind == "nothing":
            same(mutant, better)
        if kind == "weights":
            same(mutant._replace(params=None), better._replace(params=None))
            for _, got, own, mask in each(mutant.params, better.params, used(better)):
                assert got.ndim > 1 or (got == own).all()
                assert not got[~mask].any()
                assert (got != own).sum() < 1 + got.size / 2
        if kind == "choice":
            (place,) = np.flatnonzero(mutant.genome != better.genome)
            layer = NAMES[ARCHITECTURE.owners[place]]
            assert np.flatnonzero(layers).tolist() == [ARCHITECTURE.owners[place]]
            changed.add(layer)
            anew = jax.device_get(init(jax.random.fold_in(jax.random.fold_in(key, 1), 2), mutant.genome))[0]
            for name, got, own, begun, mask in each(mutant.params, better.params, anew, used(mutant)):
                np.testing.assert_allclose(got, begun if name == layer else np.where(mask, own, 0), rtol=1e-6)
            if layer == "make":
                same(mutant.state["average"]["make"], mutant.params["make"])
    assert changed == {"make", "look"}


def test_settings_name_what_a_checkpoint_must_remember():
    breeding = space(1.0, 0.0).learning.breeding
    assert breeding.settings == {"shrink": 1.0, "perturb": 0.0, "probability": 0.25}
    assert breeding.units == tuple(NAMES)
    assert {breeding.name, pbt.mutation(ARCHITECTURE).name} == {"mixture", "mutation"}
