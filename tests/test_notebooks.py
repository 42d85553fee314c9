"""The notebooks are valid, hold no outputs, and install jaxevo only where it is missing; `.ci/run` runs them whole."""

import ast
import itertools
import re

import pytest

from tests import notebooks

BOOKS = {path.stem: notebooks.read(path) for path in notebooks.paths()}


def plain(source: str) -> str:
    """Returns a cell without IPython's commands, which are no Python."""
    return re.sub(r"^(\s*)%.*$", r"\1pass", source, flags=re.MULTILINE)


def test_there_is_a_quickstart_and_a_notebook_for_each_system():
    assert set(BOOKS) == {"quickstart", "stitching", "subspace", "pbt", "pruning", "transfer"}


@pytest.mark.parametrize("name", BOOKS)
def test_a_notebook_is_valid_and_holds_no_outputs(name):
    book = BOOKS[name]
    assert (book["nbformat"], book["metadata"]["kernelspec"]["name"]) == (4, "python3")
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
            ast.parse(plain("".join(cell["source"])))


@pytest.mark.parametrize("name", BOOKS)
def test_a_notebook_has_a_title_and_says_something_before_each_cell(name):
    kinds = [cell["cell_type"] for cell in BOOKS[name]["cells"]]
    assert "".join(BOOKS[name]["cells"][0]["source"]).startswith("# ")
    assert kinds[0] == "markdown"
    assert all(before == "markdown" for before, kind in itertools.pairwise(kinds) if kind == "code")


@pytest.mark.parametrize("name", BOOKS)
def test_the_first_cells_install_where_jaxevo_is_missing_and_show_the_devices(name):
    install, devices, *rest = notebooks.code(BOOKS[name])
    condition, command = (line for line in install.splitlines() if line and "import" not in line.split()[0])
    assert condition == 'if importlib.util.find_spec("jaxevo") is None:'
    assert command.strip().startswith("%pip install")
    assert command.endswith('git+https://github.com/jaxevo/jaxevo"')
    assert "jax.devices()" in devices
    assert any("plots." in cell or "draw(" in cell for cell in rest)
