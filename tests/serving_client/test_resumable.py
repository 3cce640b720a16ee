"""Files in the making: checkpoints, interruptions and what goes on after them."""

import gzip
import json
import subprocess
import sys

import pytest

from serving_client import errors, resumable
from tests import fresh_process

REQUEST = {"model": "m", "key": ["id"]}


@pytest.fixture
def paths(tmp_path):
    return [str(tmp_path / "out.csv"), str(tmp_path / "failures.jsonl.gz")]


def names(tmp_path):
    """Returns the names of all files."""
    return sorted(path.name for path in tmp_path.iterdir())


def test_files_are_in_their_places_at_the_end_only(paths, tmp_path):
    with resumable.opened(paths, REQUEST) as files:
        assert files.state is None
        files.write(0, "a\n")
        files.checkpoint({"rows": 1})
        files.write(1, "é")
        files.checkpoint({"rows": 2})
        files.write(1, "!")
        assert "out.csv" not in names(tmp_path)
        files.finish({"rows": 3})
    assert names(tmp_path) == ["failures.jsonl.gz", "out.csv"]
    assert (tmp_path / "out.csv").read_text() == "a\n"
    assert gzip.decompress((tmp_path / "failures.jsonl.gz").read_bytes()).decode() == "é!"


def test_work_killed_between_checkpoints_goes_on_at_the_last_one(paths, tmp_path):
    killed = fresh_process.run(f"""
        import os, signal
        from serving_client import resumable

        with resumable.opened({paths!r}, {REQUEST!r}) as files:
            files.write(0, "a\\n")
            files.write(1, "x")
            files.checkpoint({{"rows": 1}})
            with open({str(tmp_path / ".out.csv.part")!r}, "a") as half:
                half.write("half a li")  # as if killed before the record was there
            os.kill(os.getpid(), signal.SIGKILL)
        """)
    assert killed.returncode == -9, killed.stderr
    with resumable.opened(paths, REQUEST) as files:
        assert files.state == {"rows": 1}
        files.write(0, "b\n")
        files.write(1, "y")
        files.finish({"rows": 2})
    assert (tmp_path / "out.csv").read_text() == "a\nb\n"
    assert gzip.decompress((tmp_path / "failures.jsonl.gz").read_bytes()) == b"xy"
    assert names(tmp_path) == ["failures.jsonl.gz", "out.csv"]


def begin(paths, request=REQUEST, **options):
    """Leaves work with one checkpoint behind."""
    with resumable.opened(paths, request, **options) as files:
        files.write(0, "old\n")
        files.checkpoint({"rows": 1})


def test_work_for_another_request_is_dropped_and_its_difference_named(paths, tmp_path):
    begin(paths)
    with resumable.opened(paths, {"model": "n", "key": ["id"], "version": 1}) as files:
        assert (files.state, files.other_request) == (None, ["model", "version"])
        files.write(0, "new\n")
        files.finish({})
    assert (tmp_path / "out.csv").read_text() == "new\n"


def test_work_can_begin_anew(paths, tmp_path):
    begin(paths)
    with resumable.opened(paths, REQUEST, resume=False) as files:
        assert (files.state, files.other_request) == (None, [])
        files.finish({})
    assert (tmp_path / "out.csv").read_text() == ""


@pytest.mark.parametrize("which", [0, 1])
def test_work_whose_part_is_gone_begins_anew(paths, tmp_path, which):
    with resumable.opened(paths, REQUEST) as files:
        files.write(which, "old\n")
        files.checkpoint({"rows": 1})
    (tmp_path / [".out.csv.part", ".failures.jsonl.gz.part"][which]).unlink()
    with resumable.opened(paths, REQUEST) as files:
        assert files.state is None


def test_nothing_is_left_without_a_checkpoint_or_a_wish_to_keep_it(paths, tmp_path):
    with pytest.raises(ZeroDivisionError):
        with resumable.opened(paths, REQUEST) as files:
            files.write(0, "a")
            raise ZeroDivisionError
    assert names(tmp_path) == []
    begin(paths, keep=False)
    assert names(tmp_path) == []


def test_failed_work_keeps_the_old_file(paths, tmp_path):
    (tmp_path / "out.csv").write_text("old")
    begin(paths)
    assert (tmp_path / "out.csv").read_text() == "old"
    assert json.loads((tmp_path / ".out.csv.progress").read_text())["state"] == {"rows": 1}


def test_second_writer_is_refused_and_does_no_harm(paths, tmp_path):
    with resumable.opened(paths, REQUEST) as files:
        files.write(0, "a\n")
        files.checkpoint({"rows": 1})
        code = f"from serving_client import resumable as r\nwith r.opened({paths!r}, {{}}): pass"
        second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (
            "Expected to be the only one who writes out.csv, found another process at work on it."
            in second.stderr
        )
        files.finish({"rows": 1})
    assert (tmp_path / "out.csv").read_text() == "a\n"


def test_place_that_does_not_exist_is_named(tmp_path):
    path = tmp_path / "none" / "out.jsonl"
    with pytest.raises(errors.InputError) as caught:
        with resumable.opened([str(path)], REQUEST):
            pass
    assert str(caught.value) == f"{path} cannot be written: No such file or directory."


def test_full_disk_is_the_works_fault(paths):
    with pytest.raises(errors.ClientError) as caught:
        with resumable.opened(paths, REQUEST):
            raise OSError(28, "No space left on device")
    assert not isinstance(caught.value, errors.RequestError)
    assert str(caught.value).endswith("out.csv cannot be written: No space left on device.")
