import numpy as np
import pyarrow as pa
import pytest

from input_fns import cells


def numbers(*texts: bytes) -> cells.Numbers:
    return cells.parse_numbers(pa.array(texts, pa.binary()))


def test_whole_numbers_are_int64() -> None:
    parsed = numbers(b"1", b"-20", b"9007199254740993")
    assert parsed.values.dtype == np.int64
    assert parsed.values.tolist() == [1, -20, 9007199254740993]


def test_empty_and_blank_cells_are_missing() -> None:
    parsed = numbers(b"1", b"", b"  ")
    assert parsed.values.tolist() == [1, 0, 0]
    assert parsed.missing.tolist() == [False, True, True]
    assert not parsed.bad.any()


@pytest.mark.parametrize(
    "text, value",
    [(b" 5 ", 5), (b"+5", 5), (b"0x1F", 31), (b"1e3", 1000.0), (b".5", 0.5), (b"5.", 5.0)]
    + [(b"9999999999999999999", 1e19), (b"-0", 0)],
)
@pytest.mark.parametrize("beside", [b"7", b"7.5", b"word"])
def test_a_number_reads_the_same_whatever_stands_beside_it(
    text: bytes, value: float, beside: bytes
) -> None:
    parsed = numbers(text, beside)
    assert parsed.values[0] == value
    assert parsed.bad.tolist() == [False, beside == b"word"]


@pytest.mark.parametrize(
    "text", [b"x", b"nan", b"inf", b"-inf", b"1e39", b"1_000", b"1,5", b"1e", b"\xff"]
)
@pytest.mark.parametrize("beside", [b"7", b"7.5", b""])
def test_what_is_not_a_finite_number_is_bad(text: bytes, beside: bytes) -> None:
    parsed = numbers(text, beside)
    assert parsed.bad.tolist() == [True, False]
    assert not parsed.missing[0]


def test_text_that_is_not_utf8_is_bad_alone() -> None:
    parsed = cells.parse_text(pa.array([b"Z\xc3\xbcrich", b"Z\xfcrich", b""], pa.binary()))
    assert parsed.values.to_pylist() == ["Zürich", "", ""]
    assert parsed.bad.tolist() == [False, True, False]
    assert parsed.missing.tolist() == [False, False, True]
