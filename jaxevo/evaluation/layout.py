"""Where the members of a population run: the mesh of devices, and how members lie on one device."""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import numpy as np
from jax.sharding import Mesh

#: A `jax.Device`, which type checkers take for a variable.
Device = Any

#: How members lie on a device: "one" after another, called from the host; "apart" the same, with each member's
#: parameters made in a program of its own; "map", one after another inside a compiled loop; "vmap", side by side.
Layout = Literal["one", "apart", "map", "vmap"]

LAYOUTS = ("one", "apart", "map", "vmap")


def mesh(devices: Sequence[Device] | None = None, data: int = 1) -> Mesh:
    """Lays devices out on the two axes of every evaluation: "pop" for members, "data" for the examples of a batch.

    Args:
      devices: the devices; by default all of them.
      data: how many devices share each batch; divides the number of devices. The rest is for members.

    Returns:
      The mesh [devices / data, data] with axes ("pop", "data").

    Raises:
      ValueError: where there are no devices or `data` does not divide their number.
    """
    devices = jax.devices() if devices is None else list(devices)
    if not isinstance(data, int) or data < 1 or not devices or len(devices) % data:
        raise ValueError(
            f"mesh: data is {data!r} for {len(devices)} devices, expected a whole number that divides their number"
        )
    return Mesh(np.array(devices).reshape(-1, data), ("pop", "data"))


def check_mesh(where: str, devices: Mesh | None) -> Mesh:
    """Returns the mesh, or one of all devices for None.

    Raises:
      TypeError: where it is no mesh.
      ValueError: where its axes are not ("pop", "data").
    """
    if devices is None:
        return mesh()
    if not isinstance(devices, Mesh):
        raise TypeError(f"{where}: mesh is {devices!r}, expected a jax.sharding.Mesh; make one with evaluation.mesh()")
    if tuple(devices.axis_names) != ("pop", "data"):
        raise ValueError(
            f"{where}: mesh has axes {devices.axis_names}, expected ('pop', 'data'); make one with evaluation.mesh()"
        )
    return devices


def default_layout(platform: str, child: bool) -> Layout:
    """Returns the layout to start from on a platform ("cpu", "gpu", "tpu"), where members are made apart or not.

    Measured on two CPU cores. Eight members of four convolutions, forward on 64 images of 32x32: one by one 0.46 s,
    `lax.map` 0.51 s, `vmap` 2.6 s, because members with weights of their own become a grouped convolution. An MLP of
    0.67 M parameters ran at 0.7 to 0.8 of plain inference under `lax.map` and at 0.41 under `vmap`. Mutated children
    that are drawn in the program that runs them reached 0.80 of plain inference, because XLA repeats draws inside of
    activations; drawn in a program of their own, 0.99. On accelerators members go side by side because one member's
    layer seldom fills them; that has not been measured.
    """
    return "vmap" if platform != "cpu" else "apart" if child else "one"
