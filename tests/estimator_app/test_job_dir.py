"""What binds a model directory, and what its record holds."""

from __future__ import annotations

import json

import pytest

from estimator_app import job_dir, vocabulary_files


def begin(settings) -> None:
    """Makes the directory one of a job that has a checkpoint."""
    with job_dir.lock(settings.train.model_dir):
        job_dir.record(settings)
    with open(f"{settings.train.model_dir}/checkpoint", "w", encoding="utf-8"):
        pass


def test_a_job_of_before_there_was_a_setting_has_its_default(make_settings, tmp_path):
    settings = make_settings(tmp_path / "job")
    begin(settings)
    path = tmp_path / "job" / job_dir.SETTINGS
    kept = json.loads(path.read_text())
    for section, name in (("input", "class_balance"), ("model", "head_weights")):
        del kept[section][name]
    path.write_text(json.dumps(kept))
    job_dir.check(settings)
    for changes, difference in (
        ({"class_balance": "weights"}, "--class_balance was none, is weights"),
        ({"head_weights": (1.0, 2.0)}, "--head_weights was not given, is 1.0,2.0"),
    ):
        with pytest.raises(job_dir.JobDirError, match=difference):
            job_dir.check(make_settings(tmp_path / "job", **changes))


def test_a_vocabulary_file_stays_what_it_was(make_settings, tmp_path):
    vocabulary, features = tmp_path / "jobs.txt", tmp_path / "features.yaml"
    vocabulary.write_text("Sales\nTech\n")
    features.write_text(f"occupation: {{vocabulary_file: {vocabulary}}}\n")
    settings = make_settings(tmp_path / "job", features=str(features))
    begin(settings)
    job_dir.check(settings)
    vocabulary.write_text("Tech\nSales\n")
    with pytest.raises(job_dir.JobDirError, match=f"vocabulary file {vocabulary} holds something"):
        job_dir.check(settings)


def test_vocabulary_files_are_found_wherever_a_file_names_them(tmp_path):
    for name in "abcd":
        (tmp_path / name).write_text(name)
    features = tmp_path / "features.yaml"
    features.write_text(
        f"x: {{deep: {{vocabulary_file: {{path: {tmp_path}/a, size: 1}}, embedding: 2}}, wide: ignore}}\n"
        f"y: [numeric, {{vocabulary_file: {tmp_path}/b}}]\n"
        f"z: {{vocabulary_file: {tmp_path}/missing}}\n"
        f"shared_embeddings: [{{features: [v, w], vocabulary_file: {tmp_path}/c, dimension: 2}}]\n"
    )
    found = vocabulary_files.digests(str(features))
    assert list(found) == [f"{tmp_path}/{name}" for name in "abc"]
    assert len(set(found.values())) == 3
    assert not vocabulary_files.digests("")
