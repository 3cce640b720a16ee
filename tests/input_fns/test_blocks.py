import numpy as np
import pytest

from input_fns import blocks


def strings(*values: bytes) -> blocks.Strings:
    table = sorted(set(values))
    codes = np.array([table.index(value) for value in values], np.int32)
    return blocks.Strings(codes, blocks.as_objects(table))


def test_concat_keeps_rows_and_holds_each_string_once() -> None:
    parts = [
        blocks.Block(2, {"x": np.array([1, 2]), "s": strings(b"b", b"a")}),
        blocks.Block(3, {"x": np.array([3, 4, 5]), "s": strings(b"c", b"a", b"a\0")}),
    ]
    whole = blocks.concat(parts)
    column = whole.columns["s"]
    assert isinstance(column, blocks.Strings)
    assert whole.num_rows == 5
    assert column.decode().tolist() == [b"b", b"a", b"c", b"a", b"a\0"]
    assert sorted(column.values) == [b"a", b"a\0", b"b", b"c"]


def test_concat_of_labels_keeps_their_vocabulary() -> None:
    table = blocks.as_objects([b"z", b"a", b"unseen"])
    parts = [blocks.Block(1, {"y": blocks.Strings(np.array([i], np.int32), table)}) for i in (1, 0)]
    column = blocks.concat(parts).columns["y"]
    assert isinstance(column, blocks.Strings)
    assert column.values is table
    assert column.codes.tolist() == [1, 0]


def test_class_ids_are_never_numbered_anew() -> None:
    table = blocks.as_objects([str(i).encode() for i in range(5000)])
    ids = blocks.Strings(np.arange(5000, dtype=np.int32), table, fixed=True)
    few = blocks.Block(5000, {"y": ids})[np.array([4000, 7])].compact()
    other = blocks.Block(1, {"y": blocks.Strings(np.array([3], np.int32), table.copy(), True)})
    column = blocks.concat([few, other]).columns["y"]
    assert isinstance(column, blocks.Strings)
    assert column.codes.tolist() == [4000, 7, 3] and len(column.values) == 5000


def test_compact_forgets_strings_that_no_row_has() -> None:
    table = blocks.as_objects([str(i).encode() for i in range(5000)])
    block = blocks.Block(5000, {"s": blocks.Strings(np.arange(5000, dtype=np.int32), table)})
    small = block[np.array([4000, 7, 4000])].compact().columns["s"]
    assert isinstance(small, blocks.Strings)
    assert small.decode().tolist() == [b"4000", b"7", b"4000"]
    assert len(small.values) == 2


# Lists, held against Python's own.


def to_lists(rows: list[list[bytes]] | list[list[int]], is_text: bool) -> blocks.Lists:
    flat = [value for row in rows for value in row]
    values = strings(*flat) if is_text else np.array(flat, np.int64)
    return blocks.from_lengths(np.array([len(row) for row in rows], np.int64), values)


def to_rows(column: blocks.Column) -> list[list[object]]:
    assert isinstance(column, blocks.Lists)
    values = column.values
    flat = (values.decode() if isinstance(values, blocks.Strings) else values).tolist()
    assert len(flat) == column.offsets[-1] and column.offsets[0] == 0
    return [flat[a:b] for a, b in zip(column.offsets[:-1], column.offsets[1:], strict=True)]


@pytest.mark.parametrize("is_text", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_lists_are_cut_chosen_and_joined_as_python_does_it(seed: int, is_text: bool) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 12))
    rows = [rng.integers(0, 9, rng.integers(0, 5)).tolist() for _ in range(count)]
    if is_text:
        rows = [[b"v%d" % value for value in row] for row in rows]
    lists = to_lists(rows, is_text)
    assert len(lists) == count and to_rows(lists) == rows
    assert lists.lengths.tolist() == [len(row) for row in rows]
    for start, stop, step in rng.integers(-count - 1, count + 2, (20, 3)).tolist():
        for index in (slice(start, stop), slice(None, stop), slice(start, stop, step or None)):
            assert to_rows(lists[index]) == rows[index]
    order = rng.integers(-count, count, int(rng.integers(0, 20)))
    assert to_rows(lists[order]) == [rows[i] for i in order]
    mask = rng.random(count) < 0.5
    assert to_rows(lists[mask]) == [row for row, keep in zip(rows, mask, strict=True) if keep]
    block = blocks.Block(count, {"a": lists, "b": np.arange(count)})
    cut = int(rng.integers(0, count + 1))
    joined = blocks.concat([block[cut:], block[:cut], block[order]]).compact()
    wanted = rows[cut:] + rows[:cut] + [rows[i] for i in order]
    assert to_rows(joined.columns["a"]) == wanted
    assert joined.num_rows == len(wanted)


def test_compact_forgets_strings_that_no_list_has() -> None:
    table = blocks.as_objects([str(i).encode() for i in range(5000)])
    values = blocks.Strings(np.arange(5000, dtype=np.int32), table)
    lists = blocks.from_lengths(np.array([3000, 2000]), values)
    texts = sum(map(len, table)) + 60 * 5000
    assert lists.nbytes == 3 * 8 + 5000 * 4 + texts
    small = blocks.Block(2, {"s": lists})[:1].compact().columns["s"]
    assert isinstance(small, blocks.Lists) and isinstance(small.values, blocks.Strings)
    assert len(small.values.values) == 3000
    assert small.values.decode().tolist() == table[:3000].tolist()
