"""Fronts and hypervolumes are drawn on the Axes given, all of what is finite, without pyplot."""

import subprocess
import sys

import numpy as np
import pytest

from jaxevo import plots
from jaxevo.plots import Style

SETS = {
    "random search": np.array([[1e6, 0.7], [3e6, 0.8]]),
    "evolved front": np.array([[3e6, 0.9], [1e6, 0.8], [2e6, np.nan]]),
    "parents": np.array([[2e6, 0.82], [4e6, 0.85]]),
    "mine": np.array([[5e6, 0.9]]),
}


def drawn(axes):
    return {line.get_label(): np.column_stack(line.get_data()) for line in axes.get_lines()}


def test_all_finite_points_are_drawn_and_the_front_as_a_step_from_cheap_to_dear():
    axes = plots.canvas()
    assert plots.front(axes, SETS, "multiply-adds", "accuracy", percent=True) is axes
    lines = drawn(axes)
    assert {tuple(point) for point in lines["evolved front"]} == {(1e6, 0.8), (3e6, 0.9)}
    np.testing.assert_array_equal(lines["parents"], SETS["parents"])
    steps = [line for line in axes.get_lines() if line.get_drawstyle() == "steps-post"]
    assert any(np.array_equal(np.column_stack(line.get_data()), [[1e6, 0.8], [3e6, 0.9]]) for line in steps)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(SETS)


def test_the_step_never_falls_where_a_dearer_network_is_worse():
    points = np.array([[1.0, 0.5], [2.0, 0.4], [3.0, 0.7]])
    axes = plots.front(plots.canvas(), {"evolved front": points}, "x", "y")
    step = next(line for line in axes.get_lines() if line.get_drawstyle() == "steps-post")
    np.testing.assert_array_equal(step.get_ydata(), [0.5, 0.5, 0.7])


def test_styles_and_names_are_taken(tmp_path):
    axes = plots.canvas(4, 3)
    plots.front(axes, SETS, "x", "y", styles={"mine": Style("red", "^")}, names={"parents": ["resnet", "vit"]})
    assert axes.get_lines()[-1].get_color() == "red"
    assert [text.get_text() for text in axes.texts] == ["resnet", "vit"]
    axes.figure.savefig(tmp_path / "front.png")
    assert (tmp_path / "front.png").stat().st_size > 1000


def test_names_stand_beside_their_own_points_where_others_are_not_finite():
    points = {"mine": np.array([[np.nan, 1.0], [2.0, 3.0]])}
    axes = plots.front(plots.canvas(), points, "x", "y", names={"mine": ["broken", "whole"]})
    assert [(text.get_text(), text.xy) for text in axes.texts] == [("whole", (2.0, 3.0))]


def test_hypervolume_draws_a_mean_over_seeds():
    axes = plots.canvas()
    assert plots.hypervolume(axes, {"evolved front": [[1, 2, 3], [3, 4, 5]], "parents": [1, 1, 1]}) is axes
    np.testing.assert_array_equal(drawn(axes)["evolved front"][:, 1], [2, 3, 4])
    assert len(axes.collections) == 1


def test_wrong_shapes_are_refused_by_name():
    with pytest.raises(ValueError, match=r"series\['mine'\] has shape \[3\], expected points \[n, 2\]"):
        plots.front(plots.canvas(), {"mine": np.ones(3)}, "x", "y")
    with pytest.raises(ValueError, match=r"names\['parents'\] holds 1 texts"):
        plots.front(plots.canvas(), SETS, "x", "y", names={"parents": ["one"]})
    with pytest.raises(ValueError, match=r"values\['mine'\] have shape \[1, 1, 2\]"):
        plots.hypervolume(plots.canvas(), {"mine": np.ones((1, 1, 2))})


def test_drawing_leaves_pyplot_alone():
    code = """
import sys
from jaxevo import plots
assert "matplotlib" not in sys.modules
plots.front(plots.canvas(), {"mine": [[1, 2]]}, "x", "y")
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "jaxevo\[plots\]"'):
        plots.canvas()
