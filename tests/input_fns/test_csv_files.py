from collections.abc import Callable
import gzip
import pathlib

import pytest

from input_fns import blocks, csv_files, errors


def read_all(path: str) -> list[blocks.RawBlock]:
    reader = csv_files.CsvFormat()
    return list(reader.read(blocks.Shard(path), reader.columns(path)))


def column(path: str, name: str) -> list[bytes]:
    return [cell for block in read_all(path) for cell in block.cells[name].to_pylist()]


@pytest.mark.parametrize(
    "data, sentence",
    [
        (b"", "is empty. Expected a line with the columns' names"),
        (b"\n\n", "is empty"),
        (b"a,b\n", "holds a header and no row"),
        (b"a,b", "holds a header and no row"),
        (b"a,b,a\n1,2,3\n", "names 'a' more than once in its header. .* pass --columns"),
        (b"a,\xff\xfe\n1,2\n", "is not text in UTF-8, its header is .*iconv"),
        (
            gzip.compress(b"a,b\n" * 9, mtime=0)[:-9],
            "is damaged: .*Expected CSV, plain or compressed",
        ),
        (b"\x1f\x8b\x08" + b"\xff" * 30, "is damaged: .*Expected CSV, plain or compressed"),
    ],
)
def test_an_unusable_file_is_refused_with_its_name(
    write_csv: Callable[..., str], data: bytes, sentence: str
) -> None:
    path = write_csv(data)
    with pytest.raises(errors.FileError, match=f"data.csv {sentence}"):
        csv_files.CsvFormat().columns(path)


def test_an_absent_file_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.FileError, match="Cannot read .*x.csv: No such file"):
        csv_files.CsvFormat().columns(str(tmp_path / "x.csv"))


def test_damage_past_the_header_is_found_while_reading(
    write_csv: Callable[..., str], census_lines: list[str]
) -> None:
    whole = gzip.compress("\n".join(census_lines).encode())
    path = write_csv(whole[: len(whole) // 2])
    with pytest.raises(errors.FileError, match="data.csv is damaged: .*Expected CSV"):
        read_all(path)


@pytest.mark.parametrize("name", ["data.csv", "data.csv.gz", "gzip_by_content.csv.gz"])
def test_plain_and_gzip_give_the_same_cells(
    write_csv: Callable[..., str], census_lines: list[str], name: str
) -> None:
    path = write_csv(census_lines, name)
    ages = [line.split(",")[0].encode() for line in census_lines[1:]]
    assert column(path, "age") == ages


def test_quotes_byte_order_mark_and_line_ends_are_understood(write_csv: Callable[..., str]) -> None:
    path = write_csv('\ufeffa,b\r\n"x, ""y""","two\nlines"\r\n\r\n,2\r\n')
    assert column(path, "a") == [b'x, "y"', b""]
    assert column(path, "b") == [b"two\nlines", b"2"]


def test_row_numbers_count_ragged_rows(write_csv: Callable[..., str]) -> None:
    path = write_csv("a,b\n1,2\n3\n4,5,6\n7,8\n9\n")
    read = read_all(path)
    assert [row for block in read for row in block.rows.tolist()] == [1, 4]
    misshapen = [bad for block in read for bad in block.misshapen]
    assert [(bad.row, bad.value) for bad in misshapen] == [(2, "3"), (3, "4,5,6"), (5, "9")]
    assert misshapen[0].expected == "2 columns as in the header"


def test_row_numbers_go_on_across_blocks(
    write_csv: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_files, "_BLOCK_BYTES", 1000)
    lines = ["a,b"] + [f"{i},x" for i in range(1, 1001)]
    lines[400] = "ragged"
    read = read_all(write_csv(lines))
    assert len(read) > 5
    for block in read:
        assert [int(cell) for cell in block.cells["a"].to_pylist()] == block.rows.tolist()
    assert [bad.row for block in read for bad in block.misshapen] == [400]


def test_a_quote_never_closed_is_refused(
    write_csv: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_files, "_BLOCK_BYTES", 1000)
    path = write_csv(["a,b", '1,"x'] + ["1,2"] * 1000)
    with pytest.raises(errors.FileError, match="look for a quote that is opened and never closed"):
        read_all(path)
