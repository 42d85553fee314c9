"""The README's examples run as they are written."""

import pathlib
import re

import jax
import pytest
from flax import linen as nn

from jaxevo import data

README = pathlib.Path(__file__).parents[1] / "README.md"


class Plain(nn.Module):
    width: int
    depth: int

    @nn.compact
    def __call__(self, x):
        for _ in range(self.depth):
            x = nn.relu(nn.Conv(self.width, (3, 3))(x))
        return nn.Dense(10)(x.mean((1, 2)))


def examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


def test_the_readme_holds_an_example():
    assert examples()


@pytest.mark.parametrize("code", examples())
def test_an_example_of_the_readme_runs(code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small, large = Plain(4, 2), Plain(6, 3)
    inputs = data.load("digits").train.inputs[:1]
    known = {
        "small": small,
        "large": large,
        "small_variables": small.init(jax.random.key(1), inputs),
        "large_variables": large.init(jax.random.key(2), inputs),
    }
    exec(compile(code, str(README), "exec"), known)
    # A child says of which network it is made, or begins anew.
    assert "small[" in capsys.readouterr().out + known["child"].name or known["child"].name == "chain"
    assert known["child"](inputs).shape == (1, 10)
