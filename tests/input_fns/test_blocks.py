import numpy as np

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


def test_compact_forgets_strings_that_no_row_has() -> None:
    table = blocks.as_objects([str(i).encode() for i in range(5000)])
    block = blocks.Block(5000, {"s": blocks.Strings(np.arange(5000, dtype=np.int32), table)})
    small = block[np.array([4000, 7, 4000])].compact().columns["s"]
    assert isinstance(small, blocks.Strings)
    assert small.decode().tolist() == [b"4000", b"7", b"4000"]
    assert len(small.values) == 2
