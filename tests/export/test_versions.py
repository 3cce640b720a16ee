"""Version directories: which are found, and how they come and go."""

import os

import pytest

from export import versions


def _make(base, *names):
    for name in names:
        (base / name).mkdir(parents=True)


def test_only_whole_integers_are_versions(tmp_path):
    _make(tmp_path, "1", "0007", "-3", "temp-5", "5.bak", ".staging-9-1", "1e3", "½", "12 ")
    (tmp_path / "9").write_text("a file counts too; the load will say what is wrong with it")
    assert versions.list_versions(str(tmp_path)) == [-3, 1, 7, 9]
    assert versions.newest(str(tmp_path)) == 9


def test_number_of_more_than_64_bits_is_no_version(tmp_path):
    _make(tmp_path, str(2**63), str(2**63 - 1))
    assert versions.list_versions(str(tmp_path)) == [2**63 - 1]


def test_missing_base_has_no_versions(tmp_path):
    base = str(tmp_path / "nowhere")
    assert versions.list_versions(base) == []
    assert versions.newest(base) is None
    assert versions.next_version(base, 1700000000.9) == 1700000000


def test_path_of_finds_leading_zeros(tmp_path):
    _make(tmp_path, "0007")
    assert versions.path_of(str(tmp_path), 7) == str(tmp_path / "0007")
    assert versions.path_of(str(tmp_path), 8) == str(tmp_path / "8")


@pytest.mark.parametrize("now_secs, expected", [(99.0, 101), (100.0, 101), (250.5, 250)])
def test_next_version_is_above_all_others(tmp_path, now_secs, expected):
    _make(tmp_path, "7", "100")
    assert versions.next_version(str(tmp_path), now_secs) == expected


def test_publish_renames_the_staged_directory(tmp_path):
    base = str(tmp_path / "model")
    with versions.staging_dir(base) as staging:
        (tmp_path / "model" / os.path.basename(staging) / "saved_model.pb").write_bytes(b"all")
        assert versions.list_versions(base) == []
        assert versions.publish(staging, base, 3) == str(tmp_path / "model" / "3")
    assert os.listdir(base) == ["3"]
    assert (tmp_path / "model" / "3" / "saved_model.pb").read_bytes() == b"all"


def test_staging_is_removed_when_the_export_fails(tmp_path):
    with pytest.raises(RuntimeError):
        with versions.staging_dir(str(tmp_path)) as staging:
            open(os.path.join(staging, "half"), "w").close()
            raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_publish_refuses_a_version_that_exists(tmp_path):
    _make(tmp_path, "0003")
    with versions.staging_dir(str(tmp_path)) as staging:
        with pytest.raises(FileExistsError, match=f"Version 3 exists already: {tmp_path}/0003"):
            versions.publish(staging, str(tmp_path), 3)


def test_publish_refuses_a_negative_version(tmp_path):
    with pytest.raises(ValueError, match="between 0 and .*, given: -1"):
        versions.publish(str(tmp_path), str(tmp_path), -1)


def test_remove_takes_the_named_versions_only(tmp_path):
    _make(tmp_path, "1", "0002", "3", "notes")
    assert versions.remove(str(tmp_path), [1, 2]) == [1, 2]
    assert sorted(os.listdir(tmp_path)) == ["3", "notes"]


def test_stale_directories_of_dead_processes_go_and_others_stay(tmp_path):
    dead = 2**22 + 1  # above the largest process number that Linux gives
    mine = os.getpid()
    names = [f".staging-{dead}-a", f".removed-{dead}-7", f".staging-{mine}-b", ".git", "7"]
    _make(tmp_path, *names)
    (tmp_path / f".staging-{dead}-a" / "half").write_text("")
    now = os.stat(tmp_path).st_mtime
    assert versions.remove_stale(str(tmp_path), now + 60) == []
    assert versions.remove_stale(str(tmp_path), now + 3600) == [
        f".removed-{dead}-7",
        f".staging-{dead}-a",
    ]
    assert sorted(os.listdir(tmp_path)) == [".git", f".staging-{mine}-b", "7"]
    assert versions.remove_stale(str(tmp_path / "nowhere"), now) == []
