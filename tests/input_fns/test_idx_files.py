import gzip
import pathlib
import struct

import numpy as np
import pytest

from input_fns import blocks, errors, idx_files, packaged


def write_idx(path: pathlib.Path, array: np.ndarray, magic: int | None = None) -> str:
    header = struct.pack(">I", 0x0800 + array.ndim if magic is None else magic)
    header += struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))
    return str(path)


def read_all(images: str) -> list[blocks.RawBlock]:
    reader = idx_files.IdxFormat()
    return list(reader.read(blocks.Shard(images), reader.columns(images)))


def test_the_packaged_digits_are_read() -> None:
    (images,) = packaged.find("mnist").eval_files
    read = read_all(images)
    assert [len(block.rows) for block in read] == [1000]
    pixels, digits = read[0].cells["image"], read[0].cells["label"]
    assert (pixels.shape, pixels.dtype) == ((1000, 28, 28), np.float32)
    assert (pixels.min(), pixels.max()) == (0.0, 1.0)
    assert (digits.dtype, digits[:10].tolist()) == (np.int64, [7, 2, 1, 0, 4, 1, 4, 9, 5, 9])
    assert idx_files.read_shape(images, 3) == (1000, 28, 28)


def test_blocks_are_numbered_on(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx_files, "_BLOCK_ROWS", 2)
    images = write_idx(tmp_path / "i-images-idx3-ubyte.gz", np.arange(20).reshape(5, 2, 2))
    write_idx(tmp_path / "i-labels-idx1-ubyte.gz", np.arange(5))
    read = read_all(images)
    assert [block.rows.tolist() for block in read] == [[1, 2], [3, 4], [5]]
    np.testing.assert_allclose(read[2].cells["image"][0] * 255, [[16, 17], [18, 19]], rtol=1e-6)


def test_images_and_labels_must_be_as_many(tmp_path: pathlib.Path) -> None:
    images = write_idx(tmp_path / "i-images-idx3-ubyte.gz", np.zeros((3, 2, 2)))
    write_idx(tmp_path / "i-labels-idx1-ubyte.gz", np.zeros(2))
    with pytest.raises(
        errors.FileError, match="i-images.*gz holds 3 images and .*i-labels.*gz 2 labels"
    ):
        read_all(images)


def test_another_file_is_refused_with_its_first_bytes(tmp_path: pathlib.Path) -> None:
    path = write_idx(tmp_path / "i-images-idx3-ubyte.gz", np.zeros((3, 2, 2)), magic=0x0D03)
    with pytest.raises(
        errors.FileError, match="bytes 00 00 0d 03. Expected .* starts with 00 00 08 03"
    ):
        idx_files.read_shape(path, 3)
    with pytest.raises(errors.FileError, match="with 1 dimension, which"):
        idx_files.read_shape(path, 1)


def test_a_file_without_examples_is_refused(tmp_path: pathlib.Path) -> None:
    path = write_idx(tmp_path / "i-images-idx3-ubyte.gz", np.zeros((0, 28, 28)))
    with pytest.raises(errors.FileError, match="i-images.*gz holds no examples"):
        idx_files.read_shape(path, 3)


def test_a_damaged_file_is_named(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "i-images-idx3-ubyte.gz"
    with pytest.raises(errors.FileError, match="Cannot read .*i-images.*gz: No such file"):
        idx_files.read_shape(str(path), 3)
    path.write_bytes(b"plain text")
    with pytest.raises(errors.FileError, match="i-images.*gz starts with the bytes 70 6c"):
        idx_files.read_shape(str(path), 3)
    path.write_bytes(gzip.compress(b"\0\0\x08\x03\0\0"))
    with pytest.raises(
        errors.FileError, match="i-images.*gz ends too early: expected 12 .* found 2"
    ):
        idx_files.read_shape(str(path), 3)
    whole = write_idx(path, np.random.default_rng(0).integers(0, 255, (50, 9, 9)))
    path.write_bytes(path.read_bytes()[:-900])
    write_idx(tmp_path / "i-labels-idx1-ubyte.gz", np.zeros(50))
    with pytest.raises(errors.FileError, match="i-images.*gz is damaged: Truncated"):
        read_all(whole)
