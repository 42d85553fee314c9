"""Meshes of devices, on which members and examples are laid out; processors and threads; programs that run but once."""

import concurrent.futures
import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.core
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


def briefly(*static: int) -> Callable[[Callable], Callable]:
    """Makes a decorator for functions that run so seldom that compiling them is what takes time.

    As `jax.jit`, but that CPUs compile without optimisation, in a third of the time. Inside of another program the
    function is part of that.

    Args:
      *static: places of arguments that are part of the program.
    """

    def decorate(function: Callable) -> Callable:
        @functools.cache
        def compiled(outermost: bool) -> Callable:
            brief = outermost and jax.default_backend() == "cpu"
            options = {"xla_backend_optimization_level": 0} if brief else None
            return jax.jit(function, static_argnums=static, compiler_options=options)

        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(arguments))
            # Options are for whole programs.
            return compiled(not traced)(*arguments)

        return call

    return decorate


def processors() -> int:
    """Returns how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


#: Settings of JAX that change what a program computes or is allowed, and that a context sets for one thread alone.
_SETTINGS = (
    "jax_debug_infs", "jax_debug_nans", "jax_default_device", "jax_default_matmul_precision", "jax_default_prng_impl",
    "jax_disable_jit", "jax_enable_x64", "jax_numpy_dtype_promotion", "jax_numpy_rank_promotion",
    "jax_threefry_partitionable", "jax_transfer_guard_device_to_device", "jax_transfer_guard_device_to_host",
    "jax_transfer_guard_host_to_device",
)  # fmt: skip


def threads_are_alike() -> bool:
    """Returns whether JAX would do in another thread what it does in this one.

    Inside of a context such as `jax.default_matmul_precision("float32")` it would not, and work has to stay here.
    """
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(_settings).result() == _settings()


def _settings() -> list[Any]:
    return [getattr(jax.config, name) for name in _SETTINGS]
