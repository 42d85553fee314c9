"""The command line that the programs share, and what they begin with: processes, devices, the folder of results."""

import argparse
import contextlib
import json
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence

import jax
from jax.sharding import Mesh

from experiments.folder import RunFolder, claim
from experiments.options import at_least_1
from jaxevo import checkpoint, evaluation, hosts
from jaxevo.threads import processors

#: From so many processors on, pictures are prepared in processes of their own by default; a few serve both in threads.
MANY = 5


def parse(
    name: str,
    description: str,
    arguments: Sequence[str] | None = None,
    more: Callable[[argparse.ArgumentParser], None] = lambda parser: None,  # noqa: ARG005
) -> argparse.Namespace:
    """Parses the options that the programs share.

    Args:
      name: of the program, as in `python -m experiments.imagenet.NAME`.
      description: what it does, its module's docstring.
      arguments: instead of those of the process.
      more: adds the options that this program alone has.

    Returns:
      network (a list of names), data, data_dir, mesh, out (a path), resume, batch, size, resize, interpolation,
      workers, threads, seed, distributed, coordinator, processes and process, and the program's own.
    """
    parser = argparse.ArgumentParser(
        f"python -m experiments.imagenet.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--network", action="append", required=True, metavar="NAME",
        help="torch:timm/NAME, torch:efficientnet-lite0 (to 2), onnx:PATH or flax:NAME[@CHECKPOINT]",
    )  # fmt: skip
    add("--data", required=True, metavar="NAME", help="tfds:NAME, folder:PATH or npz:PATH")
    add("--data-dir", metavar="DIR", help="where tfds keeps its sets (default: where it says)")
    add("--mesh", metavar="POPxDATA", help="how devices are laid out (default: all of them)")
    add("--out", metavar="DIR", type=pathlib.Path, help=f"results (default: runs/imagenet-{name})")
    add("--resume", action="store_true", help="continue what the folder holds")
    add("--seed", metavar="N", type=int, default=0, help="of everything that is drawn (default: 0)")
    add("--batch", metavar="N", type=at_least_1, default=32, help="pictures at a time, over all devices (default: 32)")
    add("--size", metavar="PIXELS", type=at_least_1, help="of pictures (default: the network's)")
    add("--resize", metavar="PIXELS", type=at_least_1, help="shorter side before the crop (default: the network's)")
    add("--interpolation", choices=("bilinear", "bicubic"), help="of the resizing (default: the network's)")
    add(
        "--workers", metavar="N", type=int, default=processors() // 2 if processors() >= MANY else 0,
        help="processes that prepare pictures, 0 for threads (default here: %(default)s)",
    )  # fmt: skip
    add(
        "--threads", metavar="N", type=at_least_1, help="threads that prepare pictures, in each process "
        f"(default: 1 with workers, else {processors()})",
    )  # fmt: skip
    add("--distributed", action="store_true", help="one of several processes: jax.distributed.initialize()")
    add("--coordinator", metavar="HOST:PORT", help="of process 0, where jax does not find it out by itself")
    add("--processes", metavar="N", type=at_least_1, help="how many there are, likewise")
    add("--process", metavar="I", type=int, help="which this one is, likewise")
    more(parser)
    options = parser.parse_args(arguments)
    if not 0 <= options.seed < 2**32:
        parser.error(f"--seed is {options.seed}, expected 0 to {2**32 - 1}")
    if options.workers < 0:
        parser.error(f"--workers is {options.workers}, expected a whole number of at least 0")
    if not options.distributed and {options.coordinator, options.processes, options.process} != {None}:
        parser.error("--coordinator, --processes and --process say how processes meet; pass --distributed as well")
    options.threads = options.threads or (1 if options.workers else processors())
    options.out = options.out or pathlib.Path("runs") / f"imagenet-{name}"
    return options


def join(options: argparse.Namespace) -> None:
    """Joins the other processes of a run, where there are some; before anything else asks JAX for its devices."""
    if options.distributed:
        jax.distributed.initialize(options.coordinator, options.processes, options.process)


def mesh_of(text: str | None, *, members: bool) -> Mesh:
    """Lays out the devices.

    Args:
      text: "POPxDATA", None for all devices on one axis.
      members: whether there are several members to score; where there is one network, the rows of a batch get all
        devices.

    Raises:
      SystemExit: where the text is none of that, or asks for another number of devices than there are.
    """
    count = jax.device_count()
    if text is None:
        return evaluation.mesh(data=1 if members else count)
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if found is None:
        raise SystemExit(f"--mesh is {text!r}, expected POPxDATA such as {count}x1")
    pop, data = map(int, found.groups())
    if pop * data != count:
        raise SystemExit(f"--mesh is {text}, {pop * data} devices, but there are {count}; pass such as 1x{count}")
    if pop > 1 and not members:
        raise SystemExit(f"--mesh is {text}, but one network is scored, by all devices together; pass 1x{count}")
    return evaluation.mesh(data=data)


class Watching(RunFolder):
    """The folder of a run as those of its processes see it that write nothing."""

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Does nothing."""
        del name
        yield


@contextlib.contextmanager
def opened(options: argparse.Namespace, settings: dict) -> Iterator[RunFolder]:
    """Opens the folder of results; process 0 of several holds its lock for all.

    Args:
      options: out and resume.
      settings: what makes the run this run, the same in all processes.

    Yields:
      The folder.

    Raises:
      SystemExit: as `claim`, in every process.
      ValueError: where processes were given different settings.
    """
    hosts.agree("settings", **json.loads(json.dumps(settings)))
    refused, folder = None, Watching(options.out)
    with contextlib.ExitStack() as stack:
        try:
            if hosts.leads():
                folder = stack.enter_context(claim(options.out, settings, options.resume))
            else:
                stack.enter_context(checkpoint.Folder(options.out))
        except (SystemExit, RuntimeError) as error:
            refused = str(error)
        if jax.process_count() > 1:
            refused = hosts.gather(refused)[0]
        if refused is not None:
            raise SystemExit(refused)
        yield folder
