"""Weights that are copied: onto the same architecture, onto others, kept back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxevo
from jaxevo import transfer
from jaxevo.graph.grids import Grid
from jaxevo.network import Network, spec
from jaxevo.transfer.weights.tensors import resampled
from tests.networks import KINDS, build, pictures, transformer
from tests.transfer.small import attention, chain, drawn

INPUTS = pictures(0, 3)


def filled(source, target, **settings):
    """Returns the parameters of a target after transfer."""
    return transfer.copy_weights(transfer.align(source, target), source.params, target.params, **settings)


def same(one, other):
    """Whether two trees are equal, bit for bit."""
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


@pytest.mark.smoke
@pytest.mark.parametrize("kind", KINDS)
def test_transfer_onto_the_same_architecture_is_the_identity(kind):
    source = build(0, 4, (kind, "stride"))
    assert same(filled(source, build(1, 4, (kind, "stride"))), source.params)


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: transformer(seed, 8, class_tokens=1),
        lambda seed: attention(8, 2, fused=True, seed=seed),
        lambda seed: chain((4, 4, 4), residual=True, gate=True, normalise=True, seed=seed),
    ],
)
def test_positions_tokens_gates_and_statistics_are_copied_onto_the_same_architecture(make):
    assert same(filled(make(0), make(1)), make(0).params)


@pytest.mark.smoke
def test_a_wider_network_computes_what_its_source_did():
    source = chain((4, 4, 6), residual=True)
    target = chain((6, 6, 9), residual=True, seed=1)
    made = target.apply(filled(source, target), INPUTS)
    np.testing.assert_allclose(made, source.apply(source.params, INPUTS), rtol=1e-5, atol=1e-5)


def test_a_network_with_larger_kernels_computes_what_its_source_did():
    source, target = chain((4, 4)), chain((4, 4), sides=(5, 7), seed=1)
    made = target.apply(filled(source, target), INPUTS)
    np.testing.assert_allclose(made, source.apply(source.params, INPUTS), rtol=1e-5, atol=1e-5)


def test_what_the_published_transform_does_not_fill_stays_as_it_was():
    source, target = chain((4, 4)), chain((6, 6), seed=1)
    made = filled(source, target, transform=transfer.clip)["conv1"]["kernel"]
    inside = np.zeros(made.shape, bool)
    inside[:, :, 1:5, 1:5] = True
    np.testing.assert_array_equal(made[inside], source.params["conv1"]["kernel"].ravel())
    np.testing.assert_array_equal(np.asarray(made)[~inside], target.params["conv1"]["kernel"][~inside])


def test_inputs_that_are_cut_off_are_made_up_for_in_mean_square():
    source, target = chain((12, 12)), chain((8, 8), seed=1)
    made = np.asarray(filled(source, target)["conv1"]["kernel"])
    whole = source.params["conv1"]["kernel"][..., 2:10]
    assert (made**2).sum() == pytest.approx((whole**2).sum(), rel=1e-5)
    ratio = made / whole[:, :, 2:10]
    assert ratio.std() < 1e-5


def test_the_magnitude_transform_keeps_the_largest_slices():
    source = np.arange(1.0, 7)[:, None] * np.ones((6, 4))
    made = transfer.magnitude(source, np.zeros((3, 4)), 1)
    np.testing.assert_array_equal(made[:, 0], [4, 5, 6])


def test_queries_keys_and_values_in_one_product_are_filled_by_those_in_three():
    source, target = attention(8, 2, fused=False), attention(8, 2, fused=True, seed=1)
    made = target.apply(filled(source, target), INPUTS)
    np.testing.assert_allclose(made, source.apply(source.params, INPUTS), rtol=1e-4, atol=1e-4)


def test_heads_of_attention_are_kept_apart():
    source, target = attention(8, 2, fused=True), attention(16, 4, fused=True, seed=1)
    made = np.asarray(filled(source, target)["qkv"]).reshape(16, 3, 4, 4)
    np.testing.assert_array_equal(made[4:12, :, 1:3], source.params["qkv"].reshape(8, 3, 2, 4))


def test_positions_are_interpolated_to_another_grid():
    source, target = attention(8, 2, fused=True), attention(8, 2, fused=True, size=16, seed=1)
    ramp = np.broadcast_to(np.arange(4.0)[:, None, None], (4, 4, 8)).reshape(1, 16, 8).astype(np.float32)
    alignment = transfer.align(source, target)
    made = transfer.copy_weights(alignment, {**source.params, "positions": ramp}, target.params)
    rows = np.asarray(made["positions"]).reshape(8, 8, 8)[:, 0, 0]
    np.testing.assert_allclose(rows, np.clip((np.arange(8) + 0.5) / 2 - 0.5, 0, 3), atol=1e-6)


def test_positions_that_the_source_lacks_are_left_to_the_target():
    source = np.arange(24, dtype=np.float32).reshape(6, 4)
    rows, values = resampled(source, 10, (None, None))
    np.testing.assert_array_equal(rows, np.arange(6))
    np.testing.assert_array_equal(values, source)
    # A target with a class token, a source without one.
    rows, values = resampled(np.ones((4, 3), jnp.bfloat16), 17, (Grid(2, 2, 0), Grid(4, 4, 1)))
    np.testing.assert_array_equal(rows, np.arange(1, 17))
    assert values.dtype == jnp.bfloat16
    np.testing.assert_array_equal(values.astype(np.float32), np.ones((16, 3)))
    rows, _ = resampled(np.ones((5, 3), np.float32), 17, (Grid(2, 2, 1), Grid(4, 4, 1)))
    np.testing.assert_array_equal(rows, np.arange(17))


def test_longer_sequences_keep_their_own_positions_behind():
    def network(length, seed):
        params = {"positions": np.zeros((length, 4)), "kernel": np.zeros((4, 4)), "head": np.zeros((4, 3))}

        def apply(params, x):
            return jax.nn.relu((x + params["positions"]) @ params["kernel"]).mean(1) @ params["head"]

        return Network(apply, drawn(seed, params), spec(np.zeros((1, length, 4), np.float32)), f"of {length}")

    source, target = network(6, 0), network(10, 1)
    made = filled(source, target, guard=0)["positions"]
    np.testing.assert_array_equal(made[:6], source.params["positions"])
    np.testing.assert_array_equal(made[6:], target.params["positions"][6:])


def test_groups_become_blocks_on_the_diagonal():
    source, target = chain((8, 8), groups=2), chain((8, 8), seed=1)
    made = np.asarray(filled(source, target)["conv1"]["kernel"])
    np.testing.assert_array_equal(made[:, :, :4, :4], source.params["conv1"]["kernel"][..., :4])
    np.testing.assert_array_equal(made[:, :, 4:, 4:], source.params["conv1"]["kernel"][..., 4:])
    assert not made[:, :, :4, 4:].any()
    assert not made[:, :, 4:, :4].any()


def test_statistics_go_with_the_state_and_stay_without_it():
    source, target = chain((4, 4), normalise=True), jaxevo.as_trainable(chain((4, 4), normalise=True, seed=1))
    params, state = target.init(jax.random.key(0))
    alignment = transfer.align(source, target)
    whole = transfer.copy_weights(alignment, source.params, {"params": params, "state": state})
    np.testing.assert_array_equal(whole["state"]["conv1"]["mean"], source.params["conv1"]["mean"])
    alone = transfer.copy_weights(alignment, source.params, params)
    np.testing.assert_array_equal(alone["conv1"]["scale"], source.params["conv1"]["scale"])
    assert jax.tree.structure(alone) == jax.tree.structure(params)


def test_a_last_layer_for_other_classes_keeps_its_own_numbers():
    source, target = chain((4, 4), classes=5), chain((4, 4), seed=1)
    made = filled(source, target)
    assert same(made["head"], target.params["head"])
    assert same(made["conv0"], source.params["conv0"])


def test_the_guard_warns_and_keeps_the_targets_own_numbers():
    source, target = chain((64, 64), side=1), chain((4, 4), side=7, seed=1, classes=4)
    with pytest.warns(transfer.TransferWarning, match="covers 0.0. of 'chain', less than the guard's 0.3"):
        made = filled(source, target)
    assert same(made, target.params)
    assert "guard" in str(transfer.report(transfer.align(source, target)))
    assert not same(filled(source, target, guard=0), target.params)


def test_several_sources_fill_each_block_from_the_one_that_covers_it_best():
    target = chain((4, 8, 8, 16), residual=True, seed=2)
    sources = [chain((4, 8, 8, 4), residual=True), chain((12, 8, 24, 16), residual=True, seed=1)]
    alignments = [transfer.align(source, target) for source in sources]
    made = transfer.copy_weights(alignments, [source.params for source in sources], target.params)
    assert same(made["conv0"], sources[0].params["conv0"])
    assert same(made["head"], sources[1].params["head"])


def test_the_report_accounts_for_every_parameter():
    source, target = chain((4, 4), gate=True), chain((6, 3), normalise=True, seed=1)
    entries = {entry.target: entry for entry in transfer.report(transfer.align(source, target)).entries}
    assert list(entries) == list(jaxevo.trace(target).paths)
    assert entries["conv0/kernel"][1:5] == ((3, 3, 3, 6), "conv0/kernel", (3, 3, 3, 4), "padded")
    assert entries["conv1/kernel"].how == "cropped and padded"
    assert entries["conv1/mean"].source is None
    assert entries["conv1/mean"].reason == "'conv1' has no mean after its kernel"
    assert entries["head/bias"].how == "equal"


def test_what_is_copied_is_what_the_report_says():
    source, target = build(0, 4, ("residual", "squeeze")), build(1, 6, ("squeeze", "plain"))
    made = dict(zip(jaxevo.trace(target).paths, jax.tree.leaves(filled(source, target)), strict=True))
    before = dict(zip(made, jax.tree.leaves(target.params), strict=True))
    entries = transfer.report(transfer.align(source, target)).entries
    assert {e.target for e in entries if e.how == "kept"} == {p for p in made if same(made[p], before[p])}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source_params": {}}, "copy_weights: source_params: params have 'conv0/bias' of shape None"),
        ({"target_params": drawn(0, chain((5, 4)).params)}, "copy_weights: target_params: params have 'conv0/bias'"),
        ({"alignment": 3}, "copy_weights: alignment is int"),
        ({"alignment": []}, "copy_weights: alignment holds 0 alignments"),
        ({"guard": 2}, "copy_weights: guard is 2"),
        ({"bridge": 1}, "copy_weights: bridge is 1, expected True or False"),
        ({"transform": "clip"}, "copy_weights: transform is 'clip'"),
    ],
)
def test_wrong_arguments_are_named(settings, message):
    network = chain((4, 4))
    asked = {"alignment": transfer.align(network, network), "source_params": network.params} | settings
    target = asked.pop("target_params", network.params)
    with pytest.raises((TypeError, ValueError), match=message):
        transfer.copy_weights(asked.pop("alignment"), asked.pop("source_params"), target, **asked)
