"""Meshes of devices, on which members and examples are laid out."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

#: A `jax.Device`, which type checkers take for a variable.
Device = Any


def mesh(devices: Sequence[Device] | None = None, data: int = 1) -> Mesh:
    """Lays devices out on the two axes of every evaluation: "pop" for members, "data" for the examples of a batch.

    Args:
      devices: the devices; by default all of them.
      data: how many devices share each batch; divides the number of devices. The rest is for members.

    Returns:
      The mesh [devices / data, data] with axes ("pop", "data").

    Raises:
      TypeError: where devices are none.
      ValueError: where there are no devices or `data` does not divide their number.
    """
    several = isinstance(devices, Sequence | np.ndarray) and not isinstance(devices, str)
    if devices is not None and not (several and all(isinstance(one, jax.Device) for one in devices)):
        raise TypeError(f"mesh: devices is {devices!r}, expected a list of devices, such as jax.devices()[:4]")
    devices = jax.devices() if devices is None else list(devices)
    if isinstance(data, bool) or not isinstance(data, int) or data < 1 or not devices or len(devices) % data:
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
