"""Checkpoints: any pytree of arrays with JSON metadata, written by Orbax, sealed by a checksum of our own.

Orbax writes the arrays; beside them lies `manifest.json` with the metadata, the kind of each leaf and the SHA-256 of
every file. Orbax alone restores a file that was cut in half without an error, and it refuses arrays without elements
(it waits five minutes for them first), so both are dealt with here. A checkpoint is written in a hidden folder and
renamed at the end: a process that is killed leaves the whole of it or nothing. Nothing is ever unpickled.

A `Folder` writes in the background, from a copy that `save` takes, while the run goes on.

`write` and `read` handle one checkpoint, `Folder` the numbered checkpoints of a run. Where a run has several processes
(`jax.distributed`), all of them call, process 0 writes, and all read what it wrote: the folder lies where all can see
it.
"""

from jaxevo.checkpoint.files import MANIFEST, DamagedError, UnsavedError, read, write
from jaxevo.checkpoint.folders import Folder, Restored
from jaxevo.checkpoint.leaves import digest, rebuild

__all__ = ["MANIFEST", "DamagedError", "Folder", "Restored", "UnsavedError", "digest", "read", "rebuild", "write"]
