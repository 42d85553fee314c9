"""Networks and their parameters leave as StableHLO and safetensors."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from experiments import zoo
from jaxevo import Network
from jaxevo.interop import load_state, save_state, to_stablehlo
from tests.interop.networks import case
from tests.networks import pictures


@pytest.mark.parametrize("name", ["resnet_8px", "vit_8px"])
def test_a_network_runs_from_its_serialised_form_at_any_batch_size(name, tmp_path):
    network = zoo.random_network(jax.random.key(0), name, None, 5)
    to_stablehlo(network, tmp_path / "child.hlo")
    back = jax.export.deserialize((tmp_path / "child.hlo").read_bytes())
    assert set(back.platforms) == {"cpu", "cuda", "tpu"}
    for batch in (1, 3):
        inputs = jax.random.normal(jax.random.key(batch), (batch, *network.inputs.shape))
        np.testing.assert_allclose(back.call(network.params, inputs), network(inputs), rtol=1e-5, atol=1e-5)


def test_a_network_that_asks_for_the_length_of_its_batch_leaves_at_one_batch_size():
    # Its reshape says len(x), which must be a number.
    network = case("linen", "residual").network
    with pytest.raises(ValueError, match=r"cannot be exported for platforms .* pass batch="):
        to_stablehlo(network)
    exported = to_stablehlo(network, batch=5, platforms=["cpu"])
    np.testing.assert_allclose(exported.call(network.params, pictures(0, 5)), network(pictures(0, 5)), rtol=1e-5)


@pytest.mark.parametrize("batch", [0, True, "3"])
def test_a_batch_that_is_no_number_is_refused(batch):
    with pytest.raises(ValueError, match=r"batch is .*, expected a whole number"):
        to_stablehlo(case("linen", "convolutional").network, batch=batch)


def test_what_is_no_network_and_a_folder_that_is_not_there_are_refused(tmp_path):
    with pytest.raises(TypeError, match=r"network is .*, expected a jaxevo\.Network"):
        to_stablehlo(None)
    network = Network(lambda params, x: x, {}, jax.ShapeDtypeStruct((3,), jnp.float32))
    with pytest.raises(ValueError, match="is no folder"):
        to_stablehlo(network, tmp_path / "nowhere" / "child.hlo")


def test_arrays_come_back_from_safetensors_under_their_paths(tmp_path):
    params = {
        "layers": [{"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}, {"kernel": jnp.ones((2,), jnp.bfloat16)}],
        "steps": np.int32(3),
        "empty": np.zeros((0, 4), np.float16),
    }
    path = tmp_path / "params.safetensors"
    path.write_text("what lay there")
    save_state(params, path)
    found = load_state(path)
    assert list(tmp_path.iterdir()) == [path]
    assert set(found) == {"layers/0/kernel", "layers/1/kernel", "steps", "empty"}
    assert found["layers/1/kernel"].dtype == ml_dtypes.bfloat16
    for name, leaf in (("layers/0/kernel", params["layers"][0]["kernel"]), ("steps", 3), ("empty", params["empty"])):
        np.testing.assert_array_equal(found[name], leaf)


def test_other_libraries_read_the_file(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    network = case("linen", "convolutional").network
    save_state(network.params, tmp_path / "params.safetensors")
    found = library.load_file(tmp_path / "params.safetensors")
    assert sum(leaf.size for leaf in found.values()) == sum(leaf.size for leaf in jax.tree.leaves(network.params))


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected a name that ends in .safetensors"):
        save_state({"a": np.zeros(3)}, tmp_path / "params.npz")
    with pytest.raises(ValueError, match="two arrays of params are called 'a/b'"):
        save_state({"a/b": np.zeros(3), "a": {"b": np.zeros(3)}}, tmp_path / "params.safetensors")
    with pytest.raises(ValueError, match="holds complex64, which safetensors lacks"):
        save_state({"a": np.zeros(3, np.complex64)}, tmp_path / "params.safetensors")
    assert not list(tmp_path.iterdir())
