"""What devices send each other, read from compiled programs."""

import math
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PyTree = Any

_COLLECTIVE = re.compile(
    r"= (?P<shapes>.*?) (?:all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute|collective-broadcast)"
    r"(?:-start)?\((?P<rest>.*)"
)
#: Who takes part: lists of devices, or how many groups of how many there are.
_GROUPS = re.compile(r"replica_groups=(?:\{\{(?P<first>[\d,]*)\}|\[\d+,(?P<size>\d+)\])")
_ARRAY = re.compile(r"(?P<kind>[a-z]+)(?P<bits>\d*)\w*\[(?P<shape>[\d,]*)\]")


def sent_bytes(compiled: jax.stages.Compiled) -> int:
    """Returns the bytes that each device receives from others in one call of a compiled program.

    Those of the results of its collectives, in loops once: no program of ours has a collective in a loop.
    """
    total = 0
    for collective in _COLLECTIVE.finditer(compiled.as_text() or ""):
        groups = _GROUPS.search(collective["rest"])
        if groups and (groups["size"] == "1" or (groups["first"] and "," not in groups["first"])):
            continue
        for array in _ARRAY.finditer(collective["shapes"]):
            bits = 8 if array["kind"] == "pred" else int(array["bits"])
            total += math.prod(int(size) for size in array["shape"].split(",") if size) * bits // 8
    return total


def described(tree: PyTree, sharding: PyTree) -> PyTree:
    """Returns the shapes of a tree of arrays that lie on devices as one sharding, or a tree of them, says."""
    if isinstance(sharding, jax.sharding.Sharding):
        sharding = jax.tree.map(lambda _: sharding, tree)
    return jax.tree.map(
        lambda leaf, own: jax.ShapeDtypeStruct(np.shape(leaf), jnp.result_type(leaf), sharding=own), tree, sharding
    )
