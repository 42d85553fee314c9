"""Calls of `jaxevo.plots`."""

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

from jaxevo import pbt, plots
from tests.faults.calls.making import Call, call, of
from tests.faults.world import World
from tests.faults.wrong import Kind, arrays, flags, numbers, things


def pictures(world: World) -> Iterator[Call]:
    """Yields the calls."""
    axes = things()
    points = np.array([[1.0, 2.0], [2.0, 3.0]])
    series = Kind(
        st.sampled_from(
            [
                None,
                points,
                [points],
                {"a": points[0]},
                {"a": points.T[:, :1]},
                {"a": "x"},
                "a",
                3,
                {"a": None},
                {"a": [["x", "y"]]},
            ]
        )
    )
    listed = Kind(st.sampled_from([{"b": ["x", "y"]}, {"a": ["x"]}, "ab", 3, ["x", "y"], {"a": 3}, {"a": None}]))
    yield call("canvas", plots.canvas, width=of(numbers(open_low=True), 7.0), height=of(numbers(open_low=True), 4.0))
    yield call(
        "front",
        plots.front,
        axes=of(axes, plots.canvas()),
        series=of(series, {"a": points}),
        x_label="x",
        y_label="y",
        styles=of(Kind(st.sampled_from([3, "ab", {"a": 3}, {"a": "red"}, ["red"]])), None),
        names=of(listed, None),
        percent=of(flags(), False),
    )
    yield call(
        "explorable_front",
        plots.explorable_front,
        series=of(series, {"a": points}),
        x_label="x",
        y_label="y",
        pictures=of(Kind(st.sampled_from([None, 3, "ab", {"b": []}, {"a": []}, {"a": [1, 2]}, {"a": "xy"}])), {}),
        names=of(listed, None),
        styles=of(Kind(st.sampled_from([3, "ab", {"a": 3}, {"a": "red"}, {"a": plots.Style("red", "nope")}])), None),
        percent=of(flags(), False),
    )
    yield call(
        "hypervolume",
        plots.hypervolume,
        axes=of(axes, plots.canvas()),
        values=of(
            Kind(st.sampled_from([None, 3, [1.0], {"a": []}, {"a": np.zeros((2, 2, 2))}, {"a": "x"}, {"a": None}])),
            {"a": [1.0, 2.0]},
        ),
    )
    node = plots.PlotNode("n", "g", 0.0, 0.0)
    nodes = Kind(st.sampled_from([None, 3, [], "ab", [node, node], [3], ["n"]]))
    yield call(
        "layers",
        plots.layers,
        axes=of(axes, plots.canvas()),
        nodes=of(nodes, [node]),
        edges=of(Kind(st.sampled_from([None, 3, "ab", [3], [("n", "n")], [plots.PlotEdge("n", "m")]])), []),
    )
    yield call(
        "lineage",
        plots.lineage,
        axes=of(axes, plots.canvas()),
        members=of(
            Kind(st.sampled_from([None, [], 3, "ab", [3], [{}], {}])),
            [pbt.Descent(0, 1, 1, None, None, (), None, False, (0.5,))],
        ),
    )
    picture, heat = np.zeros((4, 4, 3)), np.ones((2, 2))
    yield call(
        "overlay",
        plots.overlay,
        axes=of(axes, plots.canvas()),
        picture=of(arrays(picture, extra=[np.zeros((4, 4, 2)), np.zeros(4)]), picture),
        heat=of(arrays(heat, extra=[np.zeros((2, 2, 3)), -heat]), heat),
    )
