"""Children are what the paper says: layers of the other parent, shrunk and perturbed, and the better one to the bit."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxevo import Member, pbt
from jaxevo.pbt import extents
from tests.pbt.architectures import adversaries, everything, genome, same, stirred, unused

ARCHITECTURE = everything()
NAMES = [layer.name for layer in ARCHITECTURE.layers]
KEY = jax.random.key(7)
ADAM = optax.adam(0.1)

#: The other parent's first layer is wider than the better one's, its hidden layer has the same shapes.
BETTER = genome(ARCHITECTURE, first_operation="conv5", strided_operation="conv3", enlarging_operation="conv3")
OTHER = genome(ARCHITECTURE, first_width=6, first_normalisation="batch", enlarging_width=8, hidden_activation="gelu")
TAKEN = np.isin(NAMES, ["first", "hidden"])


def parent(chosen, seed):
    """Returns a member with numbers of its own everywhere, what its optimiser knows included."""
    begun = jax.jit(ARCHITECTURE.init)(jax.random.key(seed), chosen)
    member = stirred(ARCHITECTURE, Member(chosen, *begun, None), seed)
    # Moments like parameters of their own.
    moments = [stirred(ARCHITECTURE, member, seed + more).params for more in (1, 2)]
    adam, scale = ADAM.init(member.params)
    known = adam._replace(count=np.int32(seed), mu=moments[0], nu=moments[1])
    return member._replace(optimizer_state=jax.tree.map(np.asarray, (known, scale)))


@functools.cache
def parents():
    return parent(BETTER, 10), parent(OTHER, 20)


@functools.cache
def child(shrink=0.4, perturb=0.1, taken=tuple(TAKEN)):
    breeding = pbt.layers(ARCHITECTURE, shrink=shrink, perturb=perturb).learning.breeding
    return jax.device_get(breeding.make(KEY, *parents(), np.array(taken)))


def fresh():
    """Returns what a new member of the child's architecture begins with, with the key that children draw with."""
    return jax.device_get(jax.jit(ARCHITECTURE.init)(jax.random.split(KEY)[1], child().genome))


def used(chosen, tree="params"):
    return jax.tree.map(np.asarray, ARCHITECTURE.extents(chosen)[tree])


def each(*trees):
    """Yields the name of the layer and the arrays of it, one from each tree."""
    for name in NAMES:
        for leaves in zip(*(jax.tree.leaves(tree[name]) for tree in trees), strict=True):
            yield (name, *leaves)


def test_a_layer_comes_with_its_choices():
    expected = np.where(TAKEN[ARCHITECTURE.owners], OTHER, BETTER)
    np.testing.assert_array_equal(child().genome, expected)
    assert (expected != BETTER).any()
    assert (expected != OTHER).any()


def test_what_is_taken_over_is_shrunk_and_perturbed_and_all_else_is_the_better_parent():
    better, other = parents()
    begun, _ = fresh()
    masks = jax.tree.map(lambda off: ~off, unused(ARCHITECTURE, child()))
    for name, got, own, new, drawn, mask in each(child().params, better.params, other.params, begun, masks):
        if name in ("first", "hidden"):
            terms = np.float32(0.4) * new, np.float32(0.1) * drawn
            expected = np.where(mask, terms[0] + terms[1], 0)
            largest = np.maximum(np.maximum(np.abs(terms[0]), np.abs(terms[1])), np.abs(expected))
            assert (np.abs(got - expected) <= np.spacing(largest)).all(), name
            assert (got[mask] != own[mask]).all(), name
        else:
            np.testing.assert_array_equal(got, np.where(mask, own, 0))


def test_channels_that_a_kept_layer_did_not_know_have_no_weight():
    kernel = child().params["strided"]["kernel"]
    assert not kernel[:, :, 4:].any()
    assert used(child().genome)["strided"]["kernel"].axes[2].sum() == 6
    assert kernel[:, :, :4].any()


def test_statistics_are_taken_over_as_they_are():
    better, other = parents()
    known = [member.state["statistics"] for member in (child(), better, other)]
    for name, got, own, new in each(*known):
        np.testing.assert_array_equal(got, new if name in ("first", "hidden") else own)
    assert known[0]["first"]["mean"].any()


def test_what_the_optimiser_knows_stays_where_the_shape_does():
    better, _ = parents()
    state = child().optimizer_state[0]
    assert state.count == better.optimizer_state[0].count
    before, after = used(BETTER), used(child().genome)
    forgotten = set()
    for moments, own in ((state.mu, better.optimizer_state[0].mu), (state.nu, better.optimizer_state[0].nu)):
        for name in NAMES:
            for kind in moments[name]:
                alike = extents.sizes(before[name][kind]) == extents.sizes(after[name][kind])
                kept = own[name][kind] if alike else np.zeros_like(own[name][kind])
                np.testing.assert_array_equal(moments[name][kind], kept)
                forgotten |= set() if alike else {f"{name} {kind}"}
    # The hidden layer is another one, but of the same shape.
    assert {"first kernel", "first bias", "strided kernel"} <= forgotten
    assert not {"hidden kernel", "strided bias"} & forgotten


def test_the_extremes_are_an_exact_copy_and_a_fresh_layer():
    _, other = parents()
    begun, _ = fresh()
    same(child(1.0, 0.0).params["first"], other.params["first"])
    for name in ("first", "hidden"):
        same(child(0.0, 1.0).params[name], begun[name])


def test_nothing_taken_is_the_better_parent_and_all_is_the_other():
    better, other = parents()
    same(child(taken=(False,) * len(NAMES)), better)
    everything_taken = child(1.0, 0.0, (True,) * len(NAMES))
    same(everything_taken[:3], other[:3])


def test_layers_with_choices_are_taken_over_with_their_probability():
    draw = pbt.layers(ARCHITECTURE, probability=0.5).learning.breeding.draw
    taken = np.stack([draw(key) for key in jax.random.split(KEY, 200)])
    shares = dict(zip(NAMES, taken.mean(axis=0), strict=True))
    assert shares.pop("mean") == shares.pop("classes") == 0
    # Within four standard deviations.
    assert all(abs(share - 0.5) < 0.15 for share in shares.values())


def test_averages_are_taken_over_unperturbed():
    architecture = adversaries()
    space = pbt.layers(architecture)
    chosen = [genome(architecture), genome(architecture, make_operation="conv3", make_width=4)]
    begun = [jax.tree.map(np.asarray, space.init(jax.random.key(seed), one)) for seed, one in enumerate(chosen)]
    better, other = (stirred(architecture, member, seed) for seed, member in enumerate(begun))
    names = [layer.name for layer in architecture.layers]
    made = space.learning.breeding.make(KEY, better, other, np.isin(names, ["make"]))
    average = jax.device_get(made.state["average"])
    same(average["make"], other.state["average"]["make"])
    # The picture reads two channels more than it did.
    same(average["picture"], better.state["average"]["picture"])
    same(average["project"], better.state["average"]["project"])
    assert (np.asarray(made.params["make"]["kernel"]) != other.params["make"]["kernel"]).any()


@functools.cache
def mutants():
    breeding = pbt.mutation(ARCHITECTURE)
    keys = jax.random.split(KEY, 90)
    taken = np.stack([breeding.draw(key) for key in keys])
    return keys, taken, [jax.device_get(breeding.make(key, *parents(), taken[0])) for key in keys]


def kinds():
    """Returns for each mutant whether nothing, weights or a choice changed."""
    better, _ = parents()
    for mutant, taken in zip(mutants()[2], mutants()[1], strict=True):
        weights = any((got != own).any() for _, got, own in each(mutant.params, better.params))
        choice = (mutant.genome != better.genome).any()
        assert taken.any() == choice
        yield "choice" if choice else "weights" if weights else "nothing"


def test_a_third_of_the_mutants_each_changes_nothing_weights_or_a_choice():
    found = list(kinds())
    for kind in ("nothing", "weights", "choice"):
        # Within four standard deviations; few weights may be none.
        assert abs(found.count(kind) - 30) < 18, (kind, found.count(kind))


def test_mutants_change_only_what_they_say():
    better, _ = parents()
    keys, taken, made = mutants()
    changed = set()
    for kind, key, names, mutant in zip(kinds(), keys, taken, made, strict=True):
        if kind == "nothing":
            same(mutant, better)
        if kind == "weights":
            same(mutant._replace(params=None), better._replace(params=None))
            for _, got, own, none in each(mutant.params, better.params, unused(ARCHITECTURE, better)):
                assert got.ndim > 1 or (got == own).all()
                assert not got[none].any()
                assert (got != own).mean() < 0.4
        if kind == "choice":
            (place,) = np.flatnonzero(mutant.genome != better.genome)
            layer = NAMES[ARCHITECTURE.owners[place]]
            assert [name for name, takes in zip(NAMES, names, strict=True) if takes] == [layer]
            changed.add(layer)
            masks = jax.tree.map(lambda off: ~off, unused(ARCHITECTURE, mutant))
            anew, _ = ARCHITECTURE.init(jax.random.split(jax.random.fold_in(key, 1), 3)[2], jnp.asarray(mutant.genome))
            for name, got, own, begun, mask in each(mutant.params, better.params, anew, masks):
                np.testing.assert_allclose(got, begun if name == layer else np.where(mask, own, 0), rtol=1e-6)
    assert len(changed) >= 3


def test_settings_name_what_a_checkpoint_must_remember():
    breeding = pbt.layers(ARCHITECTURE, shrink=0.5).learning.breeding
    assert breeding.settings == {"shrink": 0.5, "perturb": 0.1, "probability": 0.25}
    assert breeding.units == tuple(NAMES)
    assert {breeding.name, pbt.mutation(ARCHITECTURE).name} == {"mixture", "mutation"}
