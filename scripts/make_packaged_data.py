"""Makes `input_fns/packaged_data/` from the whole census and MNIST files.

    python scripts/make_packaged_data.py census.csv.gz mnist/

The same input gives the same bytes: gzip headers carry neither a name nor a time.
"""

from __future__ import annotations

import argparse
import gzip
import os
import struct

_OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "input_fns", "packaged_data")
# UCI's own split: adult.test has 16,281 rows and adult.data 32,561; the file has them in this order.
_CENSUS_EVAL_ROWS = 16_281
_CENSUS_TRAIN_ROWS = 32_561
_MNIST_ROWS = {"train": 6_000, "t10k": 1_000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("census", help="census.csv.gz: a header and UCI Adult's 48,842 rows")
    parser.add_argument("mnist", help="directory of the four original gzip IDX files")
    arguments = parser.parse_args()
    make_census(arguments.census)
    make_mnist(arguments.mnist)


def make_census(path: str) -> None:
    """Writes census/train.csv.gz and census/eval.csv.gz, all rows of `path` between them."""
    with gzip.open(path, "rb") as file:
        header, *rows = file.read().splitlines(keepends=True)
    expected = _CENSUS_EVAL_ROWS + _CENSUS_TRAIN_ROWS
    if len(rows) != expected:
        raise SystemExit(f"{path} has {len(rows)} rows, expected {expected}.")
    _write("census/eval.csv.gz", header + b"".join(rows[:_CENSUS_EVAL_ROWS]))
    _write("census/train.csv.gz", header + b"".join(rows[_CENSUS_EVAL_ROWS:]))


def make_mnist(directory: str) -> None:
    """Writes the first examples of each of the four files under its own name."""
    for part, count in _MNIST_ROWS.items():
        for kind, header_bytes in (("images-idx3", 16), ("labels-idx1", 8)):
            name = f"{part}-{kind}-ubyte.gz"
            with gzip.open(os.path.join(directory, name), "rb") as file:
                header = file.read(header_bytes)
                size = 28 * 28 if header_bytes == 16 else 1
                data = file.read(count * size)
            header = header[:4] + struct.pack(">I", count) + header[8:]
            _write(f"mnist/{name}", header + data)


def _write(name: str, data: bytes) -> None:
    path = os.path.normpath(os.path.join(_OUT, name))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(data)
    print(f"{path}: {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
