"""Pictures that stay on disk: sources, recipes and streams."""

import concurrent.futures
import hashlib
import io
import os
import sys

import jax
import numpy as np
import pytest

from experiments.imagenet import sample
from jaxevo import data, devices
from jaxevo.data import Recipe, Split

image = pytest.importorskip("PIL.Image")
pytest.importorskip("grain")
pytest.importorskip("tensorflow_datasets")

COUNT = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs in both of ImageNet's layouts."""
    path = tmp_path_factory.mktemp("imagenet")
    found = sample.pictures(COUNT)
    sample.write_folders(path / "folders", found, sample.write_tfds(path / "tfds", found))
    return path


@pytest.fixture(scope="module")
def sources(folder):
    return (
        data.source("tfds:imagenet2012", data_dir=folder / "tfds"),
        data.source(f"folder:{folder / 'folders'}"),
    )


@pytest.fixture(scope="module")
def numbers():
    return Split(np.arange(2 * 50, dtype=np.float32).reshape(50, 2), np.arange(50, dtype=np.int32))


def contents(source):
    return sorted((source[row].label, hashlib.sha256(source[row].picture).hexdigest()) for row in range(len(source)))


def test_tfds_and_folders_hold_the_same_pictures_and_labels(sources):
    prepared, folders = sources
    assert contents(prepared) == contents(folders)
    assert prepared.classes == folders.classes
    assert len(prepared.classes) == 1000
    assert len(prepared) == len(folders) == COUNT
    assert prepared.classes[prepared[2].label] == sample.NEAREST["chelsea"]


def test_a_slice_of_tfds_and_rows_of_a_source_are_the_same_pictures(folder, sources):
    sliced = data.source("tfds:imagenet2012", "validation[3:9]", folder / "tfds")
    taken = sources[0].take(np.arange(3, 9))
    assert [one.picture for one in sliced] == [one.picture for one in taken]
    assert taken.fingerprint != sources[0].take(np.arange(3, 10)).fingerprint


def test_class_folders_are_sorted_where_no_file_lists_them(tmp_path):
    for index, name in enumerate(("b", "a", "b/deeper")):
        (tmp_path / name).mkdir(exist_ok=True)
        image.new("RGB", (9, 9), (index, 0, 0)).save(tmp_path / name / f"{index}.png")
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    found = data.source(f"folder:{tmp_path}", "train")
    assert found.classes == ("a", "b")
    assert [(one.label, one.name.rsplit("/", 1)[1]) for one in found] == [(0, "1.png"), (1, "0.png"), (1, "2.png")]
    (tmp_path / "classes.txt").write_text("z\nb\n")
    with pytest.raises(ValueError, match="lacks the class folder 'a'"):
        data.source(f"folder:{tmp_path}")


def test_pictures_are_prepared_as_torchvision_does(sources):
    for row, interpolation in ((0, "bicubic"), (1, "bilinear")):
        encoded = sources[0][row].picture
        found = data.prepare(Recipe(224, 256, interpolation), encoded)
        picture = image.open(io.BytesIO(encoded)).convert("RGB")
        width, height = picture.size
        side = (int(256 * width / height), 256) if height < width else (256, int(256 * height / width))
        picture = picture.resize(side, getattr(image.Resampling, interpolation.upper()))
        left, top = (round((length - 224) / 2) for length in side)
        pixels = np.asarray(picture)[top : top + 224, left : left + 224] / 255
        wanted = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_picture_of_any_shape_is_resized_and_cropped_as_if_it_were_resized_as_a_whole():
    rng = np.random.default_rng(0)
    for index in range(60):
        width, height = (int(length) for length in rng.integers(30, 500, 2))
        size, resize = ((224, 256), (56, 64), (64, 73), (32, 32))[index % 4]
        picture = image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
        file = io.BytesIO()
        picture.save(file, "PNG")
        interpolation = ("bicubic", "bilinear")[index % 2]
        found = data.crop(Recipe(size, resize, interpolation), file.getvalue())
        shorter = min(width, height)
        lengths = [resize if one == shorter else int(resize * one / shorter) for one in (width, height)]
        left, top = (round((length - size) / 2) for length in lengths)
        whole = picture.resize(lengths, getattr(image.Resampling, interpolation.upper()))
        wanted = np.asarray(whole.crop((left, top, left + size, top + size)))
        np.testing.assert_array_equal(found, wanted, f"{width}x{height} to {size} of {resize}, {interpolation}")


def test_channels_first_grey_and_transparent_pictures_are_prepared(tmp_path):
    recipe = Recipe(8, 8, convention=data.IMAGENET.__class__("CHW", (127.0,), (128.0,)))
    for mode, colour in (("L", 255), ("RGBA", (255, 255, 255, 0)), ("P", 255), ("1", 1)):
        file = io.BytesIO()
        image.new(mode, (9, 12), colour).save(file, "PNG")
        found = data.prepare(recipe, file.getvalue())
        assert found.shape == recipe.shape == (3, 8, 8)
        assert (found == 1).all() or mode == "P"


@pytest.mark.smoke
@pytest.mark.parametrize(("batch", "threads"), [(1, 1), (7, 3), (50, 2), (64, 1)])
def test_every_example_comes_once_and_in_order(numbers, batch, threads):
    found = list(data.stream(numbers, None, batch, threads=threads))
    assert {len(one.labels) for one in found} == {batch}
    labels = np.concatenate([one.labels[one.mask] for one in found])
    assert labels.tolist() == list(range(50))
    assert (np.concatenate([one.inputs[one.mask] for one in found]) == numbers.inputs).all()
    assert not any(one.inputs[~one.mask].any() or one.labels[~one.mask].any() for one in found)


def knows_idle_policy() -> bool:
    """Whether the kernel lets a thread, here one that ends, stand behind all others."""
    if sys.platform != "linux":
        return False
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(os.sched_setscheduler, 0, os.SCHED_IDLE, os.sched_param(0))
        return not isinstance(asked.exception(), OSError)


@pytest.mark.skipif(not knows_idle_policy(), reason="this kernel has no idle policy")
def test_threads_that_prepare_stand_behind_and_the_others_do_not():
    class Seen(np.ndarray):
        def __getitem__(self, row):
            policies.add(os.sched_getscheduler(0))
            return np.asarray(self)[row]

    policies, before = set(), os.sched_getscheduler(0)
    split = Split(np.zeros((20, 3), np.float32).view(Seen), np.zeros(20, np.int32))
    assert len(list(data.stream(split, None, 4, threads=2))) == 5
    assert policies == {os.SCHED_IDLE}
    assert os.sched_getscheduler(0) == before


@pytest.mark.smoke
def test_processes_share_every_batch_and_go_on_at_any(numbers):
    whole = list(data.stream(numbers, None, 8))
    for start in (0, 5, 7):
        parts = [list(data.stream(numbers, None, 8, rows=rows, start=start)) for rows in ([0, 1, 2], [3, 4, 5, 6, 7])]
        joined = [jax.tree.map(lambda a, b: np.concatenate([a, b]), *two) for two in zip(*parts, strict=True)]
        assert len(joined) == len(whole) - start
        for one, two in zip(whole[start:], joined, strict=True):
            jax.tree.map(np.testing.assert_array_equal, one, two)


def test_batches_lie_on_the_devices_one_ahead(numbers):
    mesh, read = devices.mesh(data=len(jax.devices())), []

    def watched():
        for index, one in enumerate(data.stream(numbers, None, 8)):
            read.append(index)
            yield one

    with jax.transfer_guard("disallow"):
        walked = data.prefetched(watched(), mesh, 8)
        first = next(walked)
        assert read == [0]
        second = next(walked)
        assert read == [0, 1, 2]
        found = [first, second, *walked]
    assert isinstance(first.inputs, jax.Array)
    assert np.concatenate([np.asarray(one.labels)[np.asarray(one.mask)] for one in found]).tolist() == list(range(50))
    assert data.rows_of_process(mesh, 8).tolist() == list(range(8))


@pytest.mark.parametrize("layout", ["HWC", "CHW"])
def test_pixels_go_to_the_devices_as_bytes_and_are_normalised_there(sources, layout):
    recipe = Recipe(8, 9, convention=data.IMAGENET.__class__(layout, data.IMAGENET.mean, data.IMAGENET.scale))
    mesh = devices.mesh(data=len(jax.devices()))
    streamed = list(data.stream(sources[1], recipe, 16))
    assert {(one.inputs.dtype, one.inputs.shape) for one in streamed} == {(np.dtype(np.uint8), (16, 8, 8, 3))}
    walked = list(data.prefetched(streamed, mesh, 16, recipe=recipe))
    found = np.concatenate([np.asarray(one.inputs) for one in walked])[:COUNT]
    wanted = np.stack([data.prepare(recipe, one.picture) for one in sources[1]])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


def test_what_a_recipe_does_not_fit_is_said(numbers):
    mesh = devices.mesh(data=len(jax.devices()))
    with pytest.raises(ValueError, match=r"holds float32 \[2\], expected pixels of the recipe, uint8 \[8, 8, 3\]"):
        list(data.prefetched(data.stream(numbers, None, 8), mesh, 8, recipe=Recipe(8, 8)))
    with pytest.raises(TypeError, match="recipe is a str"):
        data.prefetched([], mesh, 8, recipe="bicubic")


def test_a_picture_that_cannot_be_decoded_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "cut.jpg").write_bytes(sample.pictures(1)[0].encoded[:5000])
    with pytest.raises(ValueError, match=r"cut\.jpg cannot be read: crop: 5000 bytes are no whole"):
        list(data.stream(data.source(f"folder:{tmp_path}"), Recipe(8, 8), 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda folder: data.source("imagenet2012"), "expected 'tfds:NAME' or 'folder:PATH'"),
        (lambda folder: data.source("folder:nowhere"), "folder:nowhere is no folder"),
        (lambda folder: data.source("tfds:imagenet2013"), "tfds knows no set 'imagenet2013'"),
        (lambda folder: data.source("tfds:imagenet2012", data_dir=folder), "--file_format=array_record"),
        (lambda folder: data.source("tfds:imagenet2012", "vaild", folder / "tfds"), "imagenet2012 has validation"),
        (lambda folder: data.source(f"folder:{folder / 'folders'}", "train"), "folders has val"),
        (lambda folder: data.load("folder:somewhere"), "folder:somewhere is no folder"),
        (lambda folder: Recipe(224, 200), "1 <= size <= resize"),
        (lambda folder: Recipe(224, 256, "nearest"), "expected 'bilinear' or 'bicubic'"),
        (lambda folder: data.stream("digits", None, 8), "source is a str"),
    ],
)
def test_what_is_not_there_is_said(folder, call, message):
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=message):
        call(folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch": 0}, "batch is 0"),
        ({"workers": -1}, "workers is -1"),
        ({"threads": 0}, "threads is 0"),
        ({"start": 1.5}, "start is 1.5"),
        ({"rows": [8]}, "expected some of 0 to 7"),
        ({"recipe": Recipe(8, 8)}, "None for a split"),
    ],
)
def test_settings_of_a_stream_are_checked(numbers, settings, message):
    with pytest.raises((ValueError, TypeError), match=message):
        data.stream(numbers, **{"recipe": None, "batch": 8, **settings})
