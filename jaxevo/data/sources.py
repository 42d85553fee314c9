"""Sources: labelled pictures that stay on disk, encoded, and are read one by one in any order.

N is the number of pictures of a source.
"""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from jaxevo.checks import nearest
from jaxevo.data.recipes import INSTALL
from jaxevo.libraries import library

#: Endings of the files of a folder that are pictures, in small letters.
ENDINGS = (".jpg", ".jpeg", ".png")

#: File of a folder that says which label each class folder has, a name in each line; without it they are sorted.
CLASSES = "classes.txt"

#: What a split is called by those who publish data, the usual name first.
SPLITS = {
    "train": ("train", "training"),
    "valid": ("validation", "valid", "val", "test"),
    "test": ("test", "validation", "valid", "val"),
}


class Encoded(NamedTuple):
    """One picture as it lies on disk.

    picture: the bytes of a JPEG or PNG file.
    label: its class.
    name: where it lies, for messages.
    """

    picture: bytes
    label: int
    name: str


class Records(Protocol):
    """What reads pictures: it can be pickled, and so goes to other processes."""

    def __len__(self) -> int:
        """Returns the number of pictures."""
        ...

    def __getitem__(self, row: int) -> Encoded:
        """Reads a picture."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """Labelled pictures, encoded.

    name: what tables call it.
    classes: names of the classes, label i is `classes[i]`.
    records: all pictures of the split.
    fingerprint: sha256 of what identifies them without reading them: names and sizes of files, or what tfds knows.
    rows: int [N], which of the records these are, in order.
    """

    name: str
    classes: tuple[str, ...]
    records: Records
    fingerprint: str
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Encoded:
        return self.records[int(self.rows[row])]

    def take(self, rows: np.ndarray) -> "Source":
        """Returns the source of some of its pictures, in the order of `rows`, int [n] in [0, N)."""
        digest = hashlib.sha256(self.fingerprint.encode() + np.asarray(rows, np.int64).tobytes())
        return dataclasses.replace(self, rows=self.rows[np.asarray(rows)], fingerprint=digest.hexdigest())


def source(name: str, split: str = "valid", data_dir: str | os.PathLike | None = None) -> Source:
    """Opens labelled pictures of a set that is too large for memory; nothing is downloaded, no picture is read.

    Args:
      name: "tfds:NAME", a set of TensorFlow Datasets that was prepared as array_record files, such as
        "tfds:imagenet2012", with one feature of kind Image and one of kind ClassLabel (TensorFlow is not needed); or
        "folder:PATH", a folder for each class with JPEG and PNG files at any depth, perhaps below a folder for each
        split (train/, val/ and the like). Labels are the sorted names of the class folders; of the lines of
        `classes.txt` in the folder, where there is one, so that a part of a set keeps the labels of the whole.
      split: "train", "valid" or "test", by the names that the set has for them (a set whose one split beside train is
        validation or test has it for both); any other name of one, for tfds also a slice such as "validation[:1000]".
        A folder without folders for splits is one split, whichever is asked for.
      data_dir: where tfds keeps its sets; by default where it says.

    Returns:
      The source.

    Raises:
      TypeError, ValueError: where the name or the split is not known, or the set is not as above.
      FileNotFoundError: where the set is not there.
      ImportError: where a library is missing.
    """
    kind, _, rest = name.partition(":") if isinstance(name, str) else ("", "", "")
    if kind == "folder" and rest:
        return _folder(name, pathlib.Path(rest), split)
    if kind == "tfds" and rest:
        return _tfds(name, rest, split, data_dir)
    raise ValueError(f"source: name is {name!r}, expected 'tfds:NAME' or 'folder:PATH'; data.load reads other sets")


def splits_of(name: str, data_dir: str | os.PathLike | None = None) -> tuple[str, ...]:
    """Returns what a set calls its splits; () of a folder without folders for them.

    Args:
      name, data_dir: as in `source`, which raises what is wrong with them.
    """
    kind, _, rest = name.partition(":")
    if kind == "folder":
        return tuple(_split_folders(name, pathlib.Path(rest)))
    return tuple(_builder(name, rest, data_dir).info.splits)


def _chosen(name: str, split: str, known: Sequence[str]) -> str:
    """Returns what a set with these splits calls the one that is asked for."""
    found = [one for one in SPLITS.get(split, (split,)) if one in known]
    if not found:
        raise ValueError(f"source: split is {split!r}; {nearest(split, known)}{name} has {', '.join(known)}")
    return found[0]


@dataclasses.dataclass(frozen=True)
class _Files:
    """Pictures that are files.

    root: folder that paths start from.
    paths: of the files.
    labels: of each.
    """

    root: str
    paths: tuple[str, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Encoded:
        path = os.path.join(self.root, self.paths[row])
        return Encoded(pathlib.Path(path).read_bytes(), int(self.labels[row]), path)


def _split_folders(name: str, path: pathlib.Path) -> list[str]:
    if not path.is_dir():
        raise FileNotFoundError(f"source: {name} is no folder; write folder:PATH with the path of one")
    aliases = {alias for names in SPLITS.values() for alias in names}
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir() and entry.name in aliases)


def _folder(name: str, path: pathlib.Path, split: str) -> Source:
    splits = _split_folders(name, path)
    inside = sorted(entry.name for entry in path.iterdir() if entry.is_dir())
    root = path / _chosen(name, split, splits) if splits else path
    found = sorted(entry.name for entry in root.iterdir() if entry.is_dir()) if splits else inside
    classes = _classes(path, found)
    numbers = {one: index for index, one in enumerate(classes)}
    paths, labels, sizes = [], [], []
    for one in found:
        for entry in sorted(_pictures(root / one)):
            paths.append(entry[0][len(str(root)) + 1 :])
            labels.append(numbers[one])
            sizes.append(entry[1])
    if not paths:
        raise ValueError(
            f"source: {root} holds no pictures; expected a folder for each class with files ending in "
            f"{', '.join(ENDINGS)}"
        )
    digest = hashlib.sha256(repr((classes, paths, labels, sizes)).encode()).hexdigest()
    records = _Files(str(root), tuple(paths), np.array(labels, np.int32))
    return Source(name, classes, records, digest, np.arange(len(paths)))


def _classes(path: pathlib.Path, found: list[str]) -> tuple[str, ...]:
    """Returns the names of the classes in the order of labels."""
    listed = path / CLASSES
    if not listed.is_file():
        return tuple(found)
    names = tuple(line.strip() for line in listed.read_text().splitlines() if line.strip())
    unknown = [one for one in found if one not in set(names)]
    if unknown or len(set(names)) < len(names):
        what = f"lacks the class folder {unknown[0]!r}" if unknown else "names a class twice"
        raise ValueError(f"source: {listed} {what}; expected every class once, one in a line")
    return names


def _pictures(folder: pathlib.Path) -> list[tuple[str, int]]:
    """Returns paths and sizes of the pictures in a folder, at any depth."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                found += _pictures(pathlib.Path(entry.path))
            elif entry.name.lower().endswith(ENDINGS):
                found.append((entry.path, entry.stat().st_size))
    return found


@dataclasses.dataclass(frozen=True)
class _Prepared:
    """Pictures of a set that tfds prepared.

    name: of the set.
    records: what tfds reads them with.
    image, label: names of the features.
    """

    name: str
    records: Any
    image: str
    label: str

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, row: int) -> Encoded:
        record = self.records[row]
        return Encoded(record[self.image], int(record[self.label]), f"{self.name}, record {row}")


def _builder(name: str, rest: str, data_dir: str | os.PathLike | None) -> Any:
    """Finds a set that tfds has prepared."""
    tfds = library("source", "tensorflow_datasets", "tensorflow-datasets", INSTALL)
    try:
        builder = tfds.builder(rest, data_dir=None if data_dir is None else os.fspath(data_dir))
    except (ValueError, tfds.core.registered.DatasetNotFoundError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"source: tfds knows no set {rest!r} ({reason}); write tfds:NAME as tfds calls it") from error
    if not builder.data_path.exists():
        raise FileNotFoundError(
            f"source: {name} is not at {str(builder.data_path)!r}; name the folder with data_dir, or prepare the set: "
            f"tfds build {rest} --file_format=array_record"
        )
    return builder


def _tfds(name: str, rest: str, split: str, data_dir: str | os.PathLike | None) -> Source:
    tfds = library("source", "tensorflow_datasets", "tensorflow-datasets", INSTALL)
    builder = _builder(name, rest, data_dir)
    info = builder.info
    kinds = {"Image": tfds.features.Image, "ClassLabel": tfds.features.ClassLabel}
    found = {kind: [key for key, one in info.features.items() if type(one) is made] for kind, made in kinds.items()}
    if any(len(keys) != 1 for keys in found.values()):
        raise ValueError(
            f"source: {name} has features {', '.join(info.features)}, expected one of kind Image and one of kind "
            "ClassLabel among them"
        )
    (image,), (label,) = found.values()
    wanted = split if set(split) & set("[+") else _chosen(name, split, list(info.splits))
    if info.file_format.value != "array_record":
        raise ValueError(
            f"source: {name} lies there as {info.file_format.value}, which cannot be read in any order; prepare it "
            f"again: tfds build {rest} --file_format=array_record"
        )
    records = builder.as_data_source(split=wanted, decoders={image: tfds.decode.SkipDecoding()})
    part = info.splits[wanted]
    known = (info.full_name, wanted, part.num_examples, part.num_bytes)
    digest = hashlib.sha256(repr(known).encode()).hexdigest()
    classes = tuple(info.features[label].names)
    return Source(name, classes, _Prepared(name, records, image, label), digest, np.arange(len(records)))
