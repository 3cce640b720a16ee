"""`estimator-train convert` as its own process: what it writes and prints, exit codes, sentences, signals, disks."""

from __future__ import annotations

import contextlib
import csv
import gzip
import itertools
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from input_fns import schema as schema_lib

PROGRAM = [sys.executable, "-m", "estimator_app.main", "convert"]


def convert(*args, **kwargs):
    """Runs the program to its end."""
    command = [*PROGRAM, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **kwargs)


def assert_refused(result, sentence, code=2):
    """Asserts one sentence and that exit code."""
    assert result.returncode == code, result.stderr
    assert re.search(rf"^error: .*{sentence}", result.stderr, re.M), result.stderr
    assert "Traceback" not in result.stderr and not result.stdout


@pytest.fixture
def rows(tmp_path):
    """A CSV file of 1,000 rows."""
    path = tmp_path / "rows.csv"
    path.write_text("x,s,y\n" + "".join(f"{i},text {i % 7},{'ab'[i % 2]}\n" for i in range(1000)))
    return path


def names_in(folder):
    """What lies in a folder, hidden files included."""
    return sorted(os.listdir(folder))


def test_a_conversion_prints_what_came_of_it(census, tmp_path):
    out = tmp_path / "out" / "train.csv.gz"
    result = convert(census.train, out, "--label_column=income", "--shards=4")
    assert result.returncode == 0, result.stderr
    size = sum(path.stat().st_size for path in out.parent.glob("train-*"))
    assert re.fullmatch(
        r"converted   600 rows in \d+\.\d s, \d+ rows/s\n"
        r"read        1 file of \d+\.\d kB\n"
        rf"written     4 files of {size / 1000:.1f} kB: {tmp_path}/out/train-\*-of-00004.csv.gz\n"
        rf"schema      {tmp_path}/out/train.csv.gz.schema.pbtxt\n"
        rf"statistics  {tmp_path}/out/train.csv.gz.statistics.pbtxt\n",
        result.stdout,
    ), result.stdout
    assert re.fullmatch(
        r"reading: 600 rows, \d+ rows/s\nwriting: 600/600 rows, \d+ rows/s\n", result.stderr
    ), result.stderr
    assert names_in(out.parent) == [
        *(f"train-{i:05d}-of-00004.csv.gz" for i in range(4)),
        "train.csv.gz.schema.pbtxt",
        "train.csv.gz.statistics.pbtxt",
    ]
    parts = [gzip.decompress(path.read_bytes()) for path in sorted(out.parent.glob("train-*"))]
    again = b"".join([parts[0], *(part.partition(b"\n")[2] for part in parts[1:])])
    with open(census.train, encoding="utf-8") as file:
        assert list(csv.reader(again.decode().splitlines())) == list(csv.reader(file))
    schema = schema_lib.read(out.parent / "train.csv.gz.schema.pbtxt")
    assert schema.label is not None and schema.label_names == ("<=50K", ">50K")


def test_no_label_is_needed(rows, tmp_path):
    assert convert(rows, tmp_path / "out.parquet").returncode == 0
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column_names == ["x", "s", "y"] and table["x"].to_pylist() == list(range(1000))
    assert schema_lib.read(tmp_path / "out.parquet.schema.pbtxt").label is None


def test_the_flags_of_the_input_are_those_of_training(tmp_path):
    (tmp_path / "in.txt").write_text("1;a\nx;b\n3;a\n")
    result = convert(
        tmp_path / "in.txt",
        tmp_path / "out.json",
        "--format=csv",
        "--columns=n,y",
        "--delimiter=;",
        "--bad_rows=skip",
        "--output_format=csv",
    )
    assert result.returncode == 0, result.stderr
    assert (
        tmp_path / "out.json"
    ).read_text() == "n,y\n1,a\nx,b\n3,a\n"  # n is text: a third of it is

    lines = "".join(f"{i};{'ab'[i % 2]}\n" for i in range(30)) + "x;b\n"
    (tmp_path / "in.txt").write_text(lines)
    flags = [tmp_path / "in.txt", "--format=csv", "--columns=n,y", "--delimiter=;"]
    assert_refused(
        convert(*flags, tmp_path / "o.csv"), "in.txt, row 31, column 'n': expected a number"
    )
    result = convert(*flags, tmp_path / "o.csv", "--bad_rows=skip", "--label_column=y")
    assert result.returncode == 0, result.stderr
    assert f"bad rows    1 skipped, kept in {tmp_path}/o.csv.bad_rows.csv\n" in result.stdout
    assert "in.txt,31,n,x," in (tmp_path / "o.csv.bad_rows.csv").read_text()


def test_either_part_of_a_file_that_holds_both(tmp_path):
    arrays = {"x_train": [1, 2, 3], "y_train": [0, 1, 0], "x_test": [4, 5], "y_test": [1, 0]}
    np.savez(tmp_path / "both.npz", **arrays)
    assert convert(tmp_path / "both.npz", tmp_path / "train.csv").returncode == 0
    assert convert(tmp_path / "both.npz", tmp_path / "eval.csv", "--part=eval").returncode == 0
    assert (tmp_path / "train.csv").read_text() == "x,y\n1,0\n2,1\n3,0\n"
    assert (tmp_path / "eval.csv").read_text() == "x,y\n4,1\n5,0\n"


def test_a_database_and_a_folder_of_images_can_be_converted(tmp_path):
    pytest.importorskip("sqlalchemy")
    with contextlib.closing(sqlite3.connect(tmp_path / "my.db")) as database:
        database.execute("CREATE TABLE t (x INTEGER, s TEXT)")
        database.execute("INSERT INTO t VALUES (1, 'a'), (2, NULL), (3, 'c')")
        database.commit()
    query = "--train_query=SELECT s, x FROM t ORDER BY x DESC"
    result = convert(f"sqlite:///{tmp_path}/my.db", tmp_path / "table.csv", query)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "table.csv").read_text() == "s,x\nc,3\n,2\na,1\n"
    assert "\nread " not in result.stdout

    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        pixels = np.full((4, 6, 3), len(name), np.uint8)
        image = tf.io.encode_png(pixels).numpy()
        (tmp_path / "pets" / name / "1.png").write_bytes(image)
    result = convert(tmp_path / "pets", tmp_path / "pets.npz", "--image_size=2,3")
    assert result.returncode == 0, result.stderr
    arrays = np.load(tmp_path / "pets.npz")
    assert arrays["image"].shape == (2, 2, 3, 3) and arrays["label"].tolist() == ["cat", "dog"]


def test_help_names_its_own_flags_and_is_named_by_the_program():
    result = convert("--help")
    assert result.returncode == 0
    for flag in ("--label_column", "--schema", "--bad_rows", "--shards", "--overwrite"):
        assert flag in result.stdout
    for flag in ("--batch_size", "--model", "--train_data"):
        assert f"\n  {flag}" not in result.stdout
    program = subprocess.run([*PROGRAM[:-1], "--help"], capture_output=True, text=True, check=False)
    assert "estimator-train convert IN OUT" in program.stdout
    assert "--shards" not in program.stdout


def test_help_and_tables_load_neither_tensorflow_nor_arrow(rows, tmp_path):
    code = (
        "import sys; from estimator_app import main\n"
        "try: main.cli()\n"
        "finally: print(*sorted({'tensorflow', 'pyarrow'} & set(sys.modules)), file=sys.stderr)"
    )
    for args, loaded in (
        (["--help"], "\n"),
        ([str(rows), str(tmp_path / "out.parquet"), "--progress=none"], "pyarrow\n"),
    ):
        result = subprocess.run(
            [sys.executable, "-c", code, "convert", *args],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (result.returncode, result.stderr) == (0, loaded)


@pytest.mark.parametrize(
    "args, sentence",
    [
        ([], "Expected two arguments, IN and OUT, found none. Quote a glob"),
        (["a.csv", "b.csv", "c.csv"], "IN and OUT, found 'a.csv' 'b.csv' 'c.csv'. Quote a glob"),
        (["none.csv", "out.csv"], "No file matches 'none.csv'. Check the path"),
        (["{rows}", "out.xls"], r"out.xls does not tell the format .*: csv \(.csv, .*--output_for"),
        (["{rows}", "gs://bucket/out.csv"], "Expected a local path to write to, found gs://buck"),
        (["{rows}", "out.csv.gz", "--compression=zstd"], "is named as gzip, but --compression=zst"),
        (["{rows}", "out.parquet.gz"], "Parquet is compressed inside its files. Name it out.parq"),
        (["{rows}", "out.tfrecord.zst"], "with the compression zstd. Choose one of none, gzip."),
        (["{rows}", "out.csv.bz2"], "with the compression bz2. Choose one of none, gzip, zstd."),
        (["{rows}", "out.csv", "--shards=0"], "--shards must be a whole number from 1 to 99999"),
        (["{rows}", "out.csv", "--shards=2000"], "a row for each of --shards=2000, found 1000 row"),
        (["{rows}", "out.csv", "--batch_size=3"], "Unknown command line flag 'batch_size'"),
        (["{rows}", "out.csv", "--label_column=z"], "has no label column 'z'. Its columns are: x"),
        (["{rows}", "out.csv", "--schema=none.pbtxt"], "Cannot read the schema none.pbtxt"),
        (
            ["{rows}", "out.libsvm"],
            "LIBSVM holds one label in each row, and there is none. Pass --l",
        ),
        (["{rows}", "out.svm", "--label_column=y"], "LIBSVM cannot hold column 's': it is text."),
        (["{rows}", "{rows}", "--overwrite"], "rows.csv would be read and written. Give another"),
        (
            ["{rows}", "{folder}", "--output_format=csv"],
            "name of a file to write, found the folder",
        ),
        (["{rows}", "{rows}/out.csv"], "to be a folder that can be written to, found: (Not|File)"),
    ],
)
def test_a_wrong_request_ends_with_2_and_one_sentence(rows, tmp_path, args, sentence):
    args = [arg.format(rows=rows, folder=tmp_path) for arg in args]
    assert_refused(convert(*args, cwd=tmp_path), sentence)
    assert names_in(tmp_path) == ["rows.csv"]


def test_a_read_only_folder_is_refused_before_any_work(rows, tmp_path):
    (tmp_path / "fixed").mkdir(mode=0o555)
    command = [*PROGRAM, str(rows), str(tmp_path / "fixed" / "out.csv")]
    if os.geteuid() == 0:
        # root writes everywhere unless this capability is taken away
        if shutil.which("setpriv") is None:
            pytest.skip("root without setpriv cannot meet a read-only directory")
        command = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *command]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert_refused(result, "to be a folder that can be written to, found: Permission denied.")
    assert "reading" not in result.stderr


def test_what_is_there_is_replaced_only_if_told(rows, tmp_path):
    out = tmp_path / "out" / "all.csv"
    assert convert(rows, out, "--shards=3").returncode == 0
    before = {path: path.read_bytes() for path in out.parent.iterdir()}
    sentence = "all-00000-of-00003.csv and 4 more of its files exist already. Pass --overwrite"
    assert_refused(convert(rows, out, "--shards=2"), sentence)
    failed = convert(
        rows, out, "--shards=2", "--overwrite", "--label_column=s", "--task=regression"
    )
    assert_refused(failed, "--task=regression needs a label of numbers")
    assert {path: path.read_bytes() for path in out.parent.iterdir()} == before

    assert convert(rows, out, "--shards=2", "--overwrite").returncode == 0
    sides = ["all.csv.schema.pbtxt", "all.csv.statistics.pbtxt"]
    assert names_in(out.parent) == ["all-00000-of-00002.csv", "all-00001-of-00002.csv", *sides]
    assert convert(rows, out, "--overwrite").returncode == 0
    assert names_in(out.parent) == ["all.csv", *sides]
    # Another output in the same folder is another thing.
    assert convert(rows, out.parent / "all-2.csv").returncode == 0
    assert convert(rows, out.parent / "all.parquet").returncode == 0
    assert "all.csv" in names_in(out.parent)


@pytest.mark.parametrize("signum, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_nothing_half_written(tmp_path, signum, code):
    path, out = tmp_path / "rows.csv", tmp_path / "out" / "new" / "all.jsonl"
    line = f"1,{'t' * 100}\n"
    path.write_text("x,s\n" + line * 1_000_000)
    command = [*PROGRAM, str(path), str(out), "--progress=lines", "--shards=2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        # Until all rows are read: the writing is under way.
        list(itertools.takewhile(lambda line: "reading" not in line, process.stderr))
        process.send_signal(signum)
        rest = process.stderr.read()
        assert process.wait(timeout=60) == code, rest
    assert rest == "Interrupted; nothing was written.\n"
    assert names_in(tmp_path) == ["rows.csv"]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "feather", "npz", "tfrecord"])
def test_a_full_disk_ends_with_1_and_one_sentence(tmp_path, ending):
    namespace = ["unshare", "-rm"]  # the mount is seen by this process alone, and goes with it
    if (
        shutil.which("unshare") is None
        or subprocess.run([*namespace, "true"], check=False).returncode
    ):
        pytest.skip("a file system of one's own needs unshare and user namespaces")
    path, disk = tmp_path / "rows.csv", tmp_path / "disk"
    rng = np.random.default_rng(1)
    path.write_text("x,y\n" + "".join(f"{a},{b}\n" for a, b in rng.normal(size=(50_000, 2))))
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=200k tmpfs "$1" && d=$1 && shift'
    script = f'{mount} && "$@"; rc=$?; find "$d" -mindepth 1; exit $rc'
    command = [*PROGRAM, str(path), str(disk / "new" / f"out.{ending}"), "--progress=none"]
    result = subprocess.run(
        [*namespace, "sh", "-c", script, "sh", str(disk), *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert_refused(result, "Expected to write .*No space left on device.* nothing was changed.", 1)


def test_a_terminal_shows_a_bar(rows, tmp_path):
    leader, follower = pty.openpty()
    command = [*PROGRAM, str(rows), str(tmp_path / "out.csv")]
    with subprocess.Popen(command, stderr=follower, stdout=subprocess.PIPE) as process:
        os.close(follower)
        assert process.wait(timeout=60) == 0
        shown = b""
        while select.select([leader], [], [], 0.5)[0]:
            try:
                shown += os.read(leader, 4096)
            except OSError:  # the other end is closed
                break
    os.close(leader)
    assert re.search(rb"reading: 1000 rows", shown) and re.search(rb"writing: 100%\|", shown)
    assert pathlib.Path(tmp_path / "out.csv").exists()
