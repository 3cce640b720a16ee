from collections.abc import Callable
import gzip
import io
import pathlib

import pyarrow as pa
import pytest
import tensorflow as tf

from input_fns import errors, files


def test_globs_and_lists_name_each_file_once(
    write_csv: Callable[..., str], tmp_path: pathlib.Path
) -> None:
    b, a = write_csv(["x"], "b.csv"), write_csv(["x"], "a.csv")
    assert files.find(f"{tmp_path}/*.csv, {b}") == (a, b)
    assert files.find(f"{b},{a}") == (b, a)


def test_a_glob_that_matches_nothing_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.FileError, match=r"No file matches '.*/\*.csv'. Check the path"):
        files.find(f"{tmp_path}/*.csv")


def test_paths_with_a_scheme_go_through_tensorflow() -> None:
    tf.io.gfile.makedirs("ram://files")
    for name in ("b", "a"):
        with tf.io.gfile.GFile(f"ram://files/{name}.csv", "w") as file:
            file.write(f"x,y\n1,{name}\n")
    assert files.find("ram://files/*.csv") == ("ram://files/a.csv", "ram://files/b.csv")
    assert files.open_stream("ram://files/b.csv").read() == b"x,y\n1,b\n"
    with files.open_raw("ram://files/a.csv") as raw:
        raw.seek(-4, io.SEEK_END)
        assert raw.read(3) == b"1,a"
        assert raw.tell() == 7


def test_an_absent_remote_file_is_the_error_of_an_absent_file() -> None:
    with pytest.raises(FileNotFoundError):
        files.open_raw("ram://files/absent.csv")
    with pytest.raises(errors.FileError, match=r"No file matches 'ram://nowhere/\*.csv'"):
        files.find("ram://nowhere/*.csv")


@pytest.mark.parametrize("compression", [None, "gzip", "zstd", "bz2", "lz4"])
def test_compression_is_told_by_the_content(
    tmp_path: pathlib.Path, compression: str | None
) -> None:
    text = b"line\n" * 1000
    path = tmp_path / "data.csv"
    with pa.output_stream(path, compression=compression) as file:
        file.write(text)
    assert files.open_stream(str(path)).read() == text


def test_several_gzip_members_are_one_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "data.csv.gz"
    path.write_bytes(gzip.compress(b"a\n") + gzip.compress(b"b\n"))
    assert files.open_stream(str(path)).read() == b"a\nb\n"
