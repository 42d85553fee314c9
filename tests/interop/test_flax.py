import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax.core import FrozenDict, freeze

from jaxevo.interop import from_flax, to_flax, trainable_from_flax

BATCH = jax.random.normal(jax.random.key(5), (4, 6))


class Small(nn.Module):
    """Normalisation, dropout and an argument that says whether it trains."""

    @nn.compact
    def __call__(self, x, train: bool, scale: float = 1.0):
        x = nn.BatchNorm(use_running_average=not train)(nn.Dense(5)(x))
        return nn.Dense(3)(nn.Dropout(0.5, deterministic=not train)(x)) * scale


@pytest.fixture(scope="module")
def variables():
    return Small().init(jax.random.key(0), BATCH, train=False)


@pytest.mark.smoke
def test_a_network_from_flax_gives_what_the_module_gives(variables):
    network = from_flax(Small(), variables, BATCH, classes=("a", "b", "c"), apply_kwargs={"scale": 2.0})
    expected = jax.jit(lambda v, x: Small().apply(v, x, train=False, scale=2.0))(variables, BATCH)
    assert (network(BATCH) == expected).all()
    assert network.inputs == jax.ShapeDtypeStruct((6,), jnp.float32)
    assert network.name == "Small"


def test_variables_come_back_as_they_went_in(variables):
    back = to_flax(from_flax(Small(), variables, BATCH))
    assert jax.tree.structure(back) == jax.tree.structure(variables)
    assert all((a == b).all() for a, b in zip(jax.tree.leaves(back), jax.tree.leaves(variables), strict=True))


class Counting(nn.Module):
    """Keeps what it has seen in a collection of its own, beside the running statistics where it is normalised."""

    collection: str
    normalised: bool = True

    @nn.compact
    def __call__(self, x, train: bool = False):
        seen = self.variable(self.collection, "seen", jnp.zeros, ())
        if train:
            seen.value += 1.0
        x = nn.BatchNorm(use_running_average=not train)(x) if self.normalised else x
        return nn.Dense(3)(x) + seen.value


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("collection", ["seen", "state"])
def test_further_collections_come_in_and_go_back_whatever_their_names(collection, normalised):
    module = Counting(collection, normalised)
    variables = module.init(jax.random.key(0), BATCH)
    network = from_flax(module, variables, BATCH)
    np.testing.assert_allclose(network(BATCH), module.apply(variables, BATCH), rtol=1e-5, atol=1e-6)
    back = to_flax(network)
    assert jax.tree.structure(back) == jax.tree.structure(variables)
    learner = trainable_from_flax(module, BATCH)
    params, state = learner.init(jax.random.key(0))
    moved = learner.apply(params, state, BATCH, jax.random.key(1), True)[1]
    assert to_flax(learner.network(params, moved))[collection]["seen"] == 1


def test_frozen_variables_go_back_frozen(variables):
    frozen = freeze(variables)
    network = from_flax(Small(), frozen, BATCH)
    back = to_flax(network)
    assert isinstance(back, FrozenDict)
    assert jax.tree.structure(back) == jax.tree.structure(frozen)
    np.testing.assert_allclose(network(BATCH), from_flax(Small(), variables, BATCH)(BATCH), rtol=1e-6)


def test_a_method_is_called_in_place_of_call():
    class Two(nn.Module):
        def setup(self):
            self.body, self.head = nn.Dense(4), nn.Dense(2)

        def __call__(self, x):
            return self.head(self.body(x))

        def features(self, x):
            return self.body(x)

    variables = Two().init(jax.random.key(0), BATCH)
    assert from_flax(Two(), variables, BATCH, method="features", output="values")(BATCH).shape == (4, 4)
    assert from_flax(Two(), variables, BATCH, method=Two.features, output="values")(BATCH).shape == (4, 4)


def test_a_trainable_updates_its_state_only_while_training():
    trainable = trainable_from_flax(Small(), BATCH)
    params, state = trainable.init(jax.random.key(0))
    same, unchanged = trainable.apply(params, state, BATCH, None, False)
    _, updated = trainable.apply(params, state, BATCH, jax.random.key(1), True)
    assert unchanged is state
    assert (updated["batch_stats"]["BatchNorm_0"]["mean"] != state["batch_stats"]["BatchNorm_0"]["mean"]).any()
    frozen = trainable.network(params, state)
    np.testing.assert_allclose(frozen(BATCH), same, rtol=1e-5)
    np.testing.assert_allclose(Small().apply(to_flax(frozen), BATCH, train=False), same, rtol=1e-5)


def test_deterministic_is_understood_as_the_opposite_of_training():
    class Drops(nn.Module):
        @nn.compact
        def __call__(self, x, deterministic: bool):
            return nn.Dropout(0.5, deterministic=deterministic)(nn.Dense(8)(x))

    trainable = trainable_from_flax(Drops(), BATCH, output="values")
    params, state = trainable.init(jax.random.key(0))
    assert (trainable.apply(params, state, BATCH, jax.random.key(1), True)[0] == 0).any()
    assert (trainable.apply(params, state, BATCH, None, False)[0] != 0).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"module": Small}, TypeError, "module is the class Small"),
        ({"variables": {"Dense_0": {}}}, TypeError, "pass {'params': params}"),
        ({"example": jnp.zeros((4, 7))}, ValueError, r"does not run on inputs of shape \[\[4, 7\]\]"),
        ({"example": jnp.float32(1)}, ValueError, "batch axis"),
        ({"classes": ("a", "b")}, ValueError, "classes has 2 names"),
        ({"classes": "abc"}, TypeError, "classes is 'abc'"),
        ({"train_argument": "training"}, ValueError, "train_argument is 'training'"),
    ],
)
def test_from_flax_refuses_what_cannot_work(variables, change, error, message):
    given = {"module": Small(), "variables": variables, "example": BATCH} | change
    with pytest.raises(error, match=message):
        from_flax(given.pop("module"), given.pop("variables"), given.pop("example"), **given)


def test_a_network_without_batch_axis_in_its_outputs_is_refused():
    class Sums(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(3)(x).sum(0)

    with pytest.raises(ValueError, match="expected the batch as leading axis"):
        from_flax(Sums(), Sums().init(jax.random.key(0), BATCH), BATCH)


def test_to_flax_refuses_a_network_of_another_structure():
    network = from_flax(Small(), Small().init(jax.random.key(0), BATCH, train=False), BATCH)
    changed = type(network)(lambda p, x: x, {"w": 1}, network.inputs)
    with pytest.raises(TypeError, match="no Linen variables"):
        to_flax(changed)
