import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo.interop import from_torch, load_state, to_torch

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

nn = torch.nn


class Small(nn.Module):
    """Convolution, batch and layer normalisation, attention: what exporters write in ways of their own."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = torch.relu(self.bn(self.conv(x)))
        x = self.norm(x.flatten(2).transpose(1, 2))
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.head(self.drop(x.mean(1)))


class Tokens(nn.Module):
    """Two inputs, one of them tokens."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, tokens, scale):
        return self.head(self.embedding(tokens).mean(1) * scale)


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    module = Small()
    with torch.no_grad():
        for buffer in (module.bn.running_mean, module.bn.running_var):
            buffer.add_(torch.rand(8))
    return module


@pytest.fixture(scope="module")
def network(module):
    return from_torch(module, np.zeros((1, 3, 4, 4), np.float32))


X = np.random.default_rng(0).normal(size=(3, 3, 4, 4)).astype(np.float32)


def inference(module, *inputs):
    was = module.training
    module.eval()
    with torch.no_grad():
        found = module(*(torch.from_numpy(x) for x in inputs)).numpy()
    module.train(was)
    return found


def test_a_network_from_torch_gives_what_the_module_gives_in_inference(module, network):
    np.testing.assert_allclose(network(X), inference(module, X), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(network(X[:1]), inference(module, X[:1]), rtol=1e-4, atol=1e-5)
    assert network.inputs == jax.ShapeDtypeStruct((3, 4, 4), np.float32)


def test_parameters_keep_the_names_of_the_state_and_normalisation_is_not_folded(module, network):
    learned = {key for key, value in module.state_dict().items() if value.is_floating_point()}
    assert network.params.keys() == learned
    for key, value in network.params.items():
        np.testing.assert_array_equal(value, module.state_dict()[key].numpy())


def test_the_module_that_came_in_is_left_as_it_is(module):
    assert module.training
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_changed_parameters_go_back_into_a_copy_of_the_module(module, network):
    before = {key: value.clone() for key, value in module.state_dict().items()}
    changed = dataclasses.replace(network, params=jax.tree.map(lambda a: 0.5 * a, network.params))
    back = to_torch(changed, module)
    np.testing.assert_allclose(inference(back, X), changed(X), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert back.training


def test_parameters_of_another_structure_are_refused(network):
    with pytest.raises(ValueError, match=r"do not fit the module at 'conv.weight'"):
        to_torch(network, nn.Linear(2, 2))


def test_tokens_and_several_inputs_come_in_by_the_names_of_the_arguments():
    torch.manual_seed(0)
    module = Tokens()
    tokens, scale = np.random.default_rng(0).integers(0, 11, (3, 7)), np.ones((3, 6), np.float32)
    network = from_torch(module, {"tokens": tokens, "scale": scale})
    np.testing.assert_allclose(
        network({"tokens": tokens, "scale": scale}), inference(module, tokens, scale), rtol=1e-5, atol=1e-6
    )


def test_what_is_no_module_or_does_not_run_is_refused(module):
    with pytest.raises(TypeError, match=r"the class Small, expected a torch.nn.Module instance"):
        from_torch(Small, X)
    with pytest.raises(TypeError, match="example holds a str"):
        from_torch(module, "x")
    with pytest.raises(ValueError, match="Small cannot be exported"):
        from_torch(module, X[:, :2])


def test_an_example_may_be_of_half_precision():
    class Doubled(torch.nn.Module):
        def forward(self, x):
            return 2 * x

    for example in (torch.ones(2, 3, dtype=torch.bfloat16), jnp.ones((2, 3), jnp.bfloat16)):
        network = from_torch(Doubled(), example)
        np.testing.assert_array_equal(network(jnp.ones((2, 3), jnp.bfloat16)).astype(np.float32), np.full((2, 3), 2.0))


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_files_of_weights_are_read(tmp_path, module, name):
    state = {**module.state_dict(), "half": torch.ones(3, dtype=torch.bfloat16)}
    if name.endswith("pth"):
        torch.save({"state_dict": state}, tmp_path / name)
    else:
        pytest.importorskip("safetensors.torch").save_file(state, tmp_path / name)
    loaded = load_state(tmp_path / name)
    assert loaded.keys() == state.keys()
    for key, value in state.items():
        np.testing.assert_array_equal(loaded[key].astype(np.float32), value.float().numpy())


def test_files_that_hold_no_dict_of_tensors_are_refused(tmp_path):
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"epoch": 3, "other": torch.ones(2)}, tmp_path / "mixed.pt")
    for name in ("list.pt", "mixed.pt"):
        with pytest.raises(ValueError, match="expected a dict of tensors"):
            load_state(tmp_path / name)
    with pytest.raises(ValueError, match=r"expected .safetensors, .pth"):
        load_state(tmp_path.joinpath("weights.npz").touch() or tmp_path / "weights.npz")
