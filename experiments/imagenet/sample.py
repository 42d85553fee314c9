"""Writes a small set of photographs in ImageNet's layouts, to try the programs on: as tfds has it, and as folders.

    python -m experiments.imagenet.sample --out DIR [--count N]

The pictures are parts of the photographs that scikit-image ships, JPEG files of about 500x375 pixels, labelled with the
class of ImageNet that comes nearest to what each shows: good for counting pictures and comparing programs, and no
measure of a network. They lie in DIR/folders (with `classes.txt`, which names all 1,000 classes) and in DIR/tfds, so
that `--data folder:DIR/folders` and `--data tfds:imagenet2012 --data-dir DIR/tfds` are the same pictures.
"""

import argparse
import io
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.options import at_least_1
from jaxevo.data.photographs import PHOTOGRAPHS, photograph
from jaxevo.data.recipes import INSTALL
from jaxevo.data.sources import CLASSES
from jaxevo.libraries import library

#: The class of ImageNet that comes nearest to each photograph.
NEAREST = {
    "astronaut": "n04266014",  # space shuttle
    "brick": "n04326547",  # stone wall
    "chelsea": "n02124075",  # Egyptian cat
    "coffee": "n07920052",  # espresso
    "coins": "n03424325",  # gasmask, for want of a better one
    "grass": "n09256479",  # coral reef
    "gravel": "n09246464",  # cliff
    "hubble_deep_field": "n09472597",  # volcano
    "immunohistochemistry": "n01910747",  # jellyfish
    "retina": "n07880968",  # burrito
    "rocket": "n03773504",  # missile
    "stereo_motorcycle": "n03791053",  # motor scooter
}

#: Sides of the pictures in pixels, longer and shorter, between which they are drawn.
LONGER, SHORTER = (440, 560), (330, 420)

SPLIT = "validation"


class Picture(NamedTuple):
    """A picture to be written.

    name: of its file, without the ending.
    label: name of its class.
    encoded: a JPEG file.
    """

    name: str
    label: str
    encoded: bytes


def pictures(count: int, seed: int = 0) -> list[Picture]:
    """Cuts pictures out of photographs.

    Args:
      count: how many.
      seed: of the places.

    Returns:
      The pictures; photographs take turns.
    """
    image = library("pictures", "PIL.Image", "Pillow", INSTALL)
    rng = np.random.default_rng(seed)
    whole = {name: image.fromarray(np.uint8(255 * photograph(name))) for name in PHOTOGRAPHS}
    found = []
    for index in range(count):
        name = PHOTOGRAPHS[index % len(PHOTOGRAPHS)]
        side = (int(rng.integers(*LONGER)), int(rng.integers(*SHORTER)))
        side = side if rng.random() < 0.75 else side[::-1]
        # At least two thirds of what fits, so that what the photograph shows is in the picture.
        width, height = whole[name].size
        scale = min(width / side[0], height / side[1]) * rng.uniform(2 / 3, 1)
        cut = (scale * side[0], scale * side[1])
        left, top = rng.uniform(0, width - cut[0]), rng.uniform(0, height - cut[1])
        box = (left, top, left + cut[0], top + cut[1])
        file = io.BytesIO()
        whole[name].resize(side, image.Resampling.BICUBIC, box=box).save(file, "JPEG", quality=92)
        found.append(Picture(f"{name}_{index:05d}", NEAREST[name], file.getvalue()))
    return found


def write_folders(path: pathlib.Path, found: Sequence[Picture], classes: Sequence[str]) -> None:
    """Writes pictures as a folder for each class below val/, and the names of all classes."""
    for one in found:
        place = path / "val" / one.label
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{one.name}.JPEG").write_bytes(one.encoded)
    (path / CLASSES).write_text("".join(f"{name}\n" for name in classes))


def write_tfds(path: pathlib.Path, found: Sequence[Picture]) -> tuple[str, ...]:
    """Writes pictures as tfds prepares imagenet2012 as array_record files, without TensorFlow.

    Args:
      path: what `--data-dir` names.
      found: the pictures, all of which become the validation split.

    Returns:
      Names of the 1,000 classes.
    """
    tfds = library("write_tfds", "tensorflow_datasets", "tensorflow-datasets", INSTALL)
    serializers = library("write_tfds", "tensorflow_datasets.core.example_serializer", "tensorflow-datasets", INSTALL)
    writers = library("write_tfds", "array_record.python.array_record_module", "array-record", INSTALL)
    builder = tfds.builder("imagenet2012", data_dir=str(path), file_format="array_record")
    features, place = builder.info.features, pathlib.Path(builder.data_path)
    place.mkdir(parents=True, exist_ok=True)
    serializer = serializers.ExampleSerializer(features.get_serialized_info())
    template = tfds.core.ShardedFileTemplate(
        dataset_name="imagenet2012", data_dir=str(place), split=SPLIT, filetype_suffix="array_record"
    )
    (shard,) = template.sharded_filepaths(1)
    # As tfds writes them: a group of one record can be read without its neighbours.
    writer = writers.ArrayRecordWriter(str(shard), "group_size:1")
    for one in found:
        example = {"file_name": f"{one.name}.JPEG", "image": io.BytesIO(one.encoded), "label": one.label}
        writer.write(serializer.serialize_example(features.encode_example(example)))
    writer.close()
    size = sum(len(one.encoded) for one in found)
    split = tfds.core.SplitInfo(name=SPLIT, shard_lengths=[len(found)], num_bytes=size, filename_template=template)
    builder.info.set_splits(tfds.core.splits.SplitDict([split]))
    builder.info.write_to_directory(str(place))
    return tuple(features["label"].names)


def main() -> None:
    """Writes the set."""
    parser = argparse.ArgumentParser(
        "python -m experiments.imagenet.sample",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--out", metavar="DIR", type=pathlib.Path, required=True, help="where it goes")
    parser.add_argument("--count", metavar="N", type=at_least_1, default=50, help="pictures (default: %(default)s)")
    options = parser.parse_args()
    found = pictures(options.count)
    write_folders(options.out / "folders", found, write_tfds(options.out / "tfds", found))
    size = sum(len(one.encoded) for one in found)
    print(f"{len(found)} pictures, {size / len(found) / 1000:.0f} kB on average, are in {options.out}")


if __name__ == "__main__":
    main()
