import pytest

from estimator_app import data_tables


@pytest.mark.parametrize(
    "counts, shown",
    [([1, 1], "██"), ([0.001, 8, 0, 4], "▁█ ▄"), ([1] * 16, "████████"), ([2], "█")],
)
def test_a_histogram_is_a_line_of_blocks(counts, shown) -> None:
    assert data_tables._spark(counts) == shown


def test_numbers_stand_to_the_right_and_text_to_the_left() -> None:
    assert data_tables.align([["a", "1"], ["bcd", "23"]], {0}) == ["a     1", "bcd  23"]
