"""Sets of pictures on disk that are read into memory."""

import io
import pathlib

import numpy as np
import pytest

from jaxevo import data

image = pytest.importorskip("PIL.Image")


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    image.fromarray(pixels.squeeze()).save(file, "PNG")
    return file.getvalue()


def drawn(count: int, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def folders(path: pathlib.Path, pictures, classes: int = 2) -> str:
    """Writes pictures in turn into folders of classes, and returns the name of the set."""
    for index, one in enumerate(pictures):
        place = path / f"class{index % classes}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{index:03}.png").write_bytes(png(one))
    return f"folder:{path}"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Prepares twenty and ten pictures as tfds prepares CIFAR-10, without TensorFlow."""
    tfds = pytest.importorskip("tensorflow_datasets")
    writers = pytest.importorskip("array_record.python.array_record_module")
    from tensorflow_datasets.core.example_serializer import ExampleSerializer

    path = tmp_path_factory.mktemp("tfds")
    builder = tfds.builder("cifar10", data_dir=str(path), file_format="array_record")
    features, place = builder.info.features, pathlib.Path(builder.data_path)
    place.mkdir(parents=True)
    serializer, splits, pixels = ExampleSerializer(features.get_serialized_info()), [], {}
    for which, count in (("train", 20), ("test", 10)):
        pixels[which] = drawn(count, (32, 32, 3), count)
        template = tfds.core.ShardedFileTemplate(
            dataset_name="cifar10", data_dir=str(place), split=which, filetype_suffix="array_record"
        )
        (shard,) = template.sharded_filepaths(1)
        writer = writers.ArrayRecordWriter(str(shard), "group_size:1")
        for index, one in enumerate(pixels[which]):
            example = {"id": f"{index}", "image": io.BytesIO(png(one)), "label": index % 10}
            writer.write(serializer.serialize_example(features.encode_example(example)))
        writer.close()
        splits.append(tfds.core.SplitInfo(name=which, shard_lengths=[count], num_bytes=1, filename_template=template))
    builder.info.set_splits(tfds.core.splits.SplitDict(splits))
    builder.info.write_to_directory(str(place))
    return path, pixels


def test_a_prepared_set_is_read_as_it_is_and_valid_is_taken_from_train(prepared):
    path, pixels = prepared
    found = data.load(f"tfds:cifar10,data_dir={path}")
    assert [len(split) for split in (found.train, found.valid, found.test)] == [18, 2, 10]
    assert len(found.classes) == 10
    np.testing.assert_array_equal(found.test.labels, np.arange(10))
    # By the mean and deviation of train: of both splits the same, which those of test give away.
    scale = pixels["test"].std() / found.test.inputs.std()
    mean = pixels["test"].mean() - scale * found.test.inputs.mean()
    assert abs(found.train.inputs.mean()) < 1e-3
    assert abs(found.train.inputs.std() - 1) < 1e-3
    np.testing.assert_allclose(found.test.inputs * scale + mean, pixels["test"], atol=1e-2)
    everything = np.round(np.concatenate([found.train.inputs, found.valid.inputs]) * scale + mean).astype(np.uint8)
    assert {one.tobytes() for one in everything} == {one.tobytes() for one in pixels["train"]}
    assert data.fingerprint(found) == data.fingerprint(data.load(f"tfds:cifar10,data_dir={path}"))


def test_a_folder_of_one_split_is_shared_out_by_class(tmp_path):
    found = data.load(folders(tmp_path, drawn(40, (8, 8, 1))))
    assert found.train.inputs.shape == (28, 8, 8, 1)
    assert [np.bincount(split.labels).tolist() for split in (found.train, found.valid, found.test)] == [
        [14, 14], [3, 3], [3, 3]
    ]  # fmt: skip


def test_pictures_of_several_sizes_need_one_to_be_named(tmp_path):
    name = folders(tmp_path, [*drawn(10, (20, 24, 3)), *drawn(10, (24, 20, 3))])
    with pytest.raises(ValueError, match=r"several sizes: .*size=20"):
        data.load(name)
    assert data.load(f"{name},size=16").train.inputs.shape == (14, 16, 16, 3)


def test_what_does_not_fit_into_memory_is_refused_before_it_is_read(tmp_path):
    name = folders(tmp_path, drawn(4, (8, 8, 3)))
    with pytest.raises(ValueError, match=r"4 pictures of 1000000x1000000, .* GiB in memory.*data.source"):
        data.load(f"{name},size=1000000")


def test_misspelt_settings_and_damaged_pictures_are_named(tmp_path):
    name = folders(tmp_path, drawn(4, (8, 8, 3)))
    with pytest.raises(ValueError, match=r"folder has no setting 'sise'; did you mean 'size'\?"):
        data.load(f"{name},sise=4")
    (tmp_path / "class1" / "001.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"001\.png cannot be read"):
        data.load(name)


def test_splits_of_other_classes_are_refused(tmp_path):
    folders(tmp_path / "train", drawn(6, (8, 8, 3)), 3)
    name = folders(tmp_path / "test", drawn(4, (8, 8, 3), 1), 2).removesuffix("/test")
    with pytest.raises(ValueError, match=r"classes \['class0', 'class1'\] in test and .*'class2'\] in train"):
        data.load(name)


def test_splits_whose_files_look_alike_are_not_taken_for_one(tmp_path):
    for seed, which in enumerate(("train", "valid", "test")):
        folders(
            tmp_path / which,
            np.full((4, 8, 8, 1), 10 * seed + 1, np.uint8) + np.arange(4, dtype=np.uint8)[:, None, None, None],
        )
    found = data.load(f"folder:{tmp_path}")
    assert [len(split) for split in (found.train, found.valid, found.test)] == [4, 4, 4]
    assert found.train.inputs.mean() < found.valid.inputs.mean() < found.test.inputs.mean()


def test_what_is_wrong_with_a_split_is_said(tmp_path):
    for which in ("train", "test"):
        folders(tmp_path / which, drawn(4, (8, 8, 1)))
    (tmp_path / "test" / "parrot").mkdir()
    (tmp_path / "classes.txt").write_text("class0\nclass1\n")
    with pytest.raises(ValueError, match="lacks the class folder 'parrot'"):
        data.load(f"folder:{tmp_path}")
