"""Flags and settings: the same fields, the same defaults, and wrong flags answered with one sentence."""

import dataclasses
import subprocess
import sys

from absl import flags as absl_flags
from absl.testing import flagsaver
import pytest

from estimator_app import flags, settings


def parse(*args):
    """Returns the settings that a command line gives."""
    with flagsaver.flagsaver():
        absl_flags.FLAGS.unparse_flags()
        absl_flags.FLAGS(["estimator-train", *args])
        return flags.settings_from_flags(absl_flags.FLAGS)


def run_program(*args):
    """Runs `estimator-train` as its own process."""
    return subprocess.run(
        [sys.executable, "-m", "estimator_app.main", *args],
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_settings_field_has_a_flag():
    for section in dataclasses.fields(settings.RunSettings):
        for field in dataclasses.fields(
            getattr(parse("--data=census", "--model_dir=m"), section.name)
        ):
            assert field.name in absl_flags.FLAGS, f"no flag for {section.name}.{field.name}"


def test_defaults_are_those_of_the_settings():
    parsed = parse("--data=census", "--model_dir=m")
    assert parsed.model == settings.ModelSettings()
    assert parsed.train == settings.TrainSettings(model_dir="m")


def test_flags_reach_their_fields():
    parsed = parse(
        "--data=census",
        "--model_dir=m",
        "--hidden_units=4,2",
        "--optimizer=sgd",
        "--seed=7",
        "--exporter=best",
        "--image_size=20,30",
    )
    assert parsed.model.hidden_units == (4, 2)
    assert parsed.model.optimizer == "sgd"
    assert parsed.train.seed == parsed.input.seed == 7
    assert parsed.export.exporter == "best"
    assert parsed.input.image_size == (20, 30)


def test_flags_of_models_reach_their_fields():
    parsed = parse(
        *("--data=census", "--model_dir=m", "--activation=gelu", "--batch_norm", "--l1=0.5"),
        *("--l2=0", "--loss=poisson", "--loss_reduction=sum", "--num_clusters=3"),
        "--example_id_column=row",
    )
    assert parsed.model == settings.ModelSettings(
        activation="gelu",
        batch_norm=True,
        l1=0.5,
        l2=0.0,
        loss="poisson",
        loss_reduction="sum",
        num_clusters=3,
        example_id_column="row",
    )


def test_flagfile_is_read(tmp_path):
    (tmp_path / "job.flags").write_text("--data=census\n--model_dir=from_file\n")
    assert parse(f"--flagfile={tmp_path}/job.flags").train.model_dir == "from_file"


def test_hidden_units_must_be_numbers():
    with pytest.raises(
        ValueError, match="Expected --hidden_units to be whole numbers such as 128,64; found 'a,b'."
    ):
        parse("--data=census", "--model_dir=m", "--hidden_units=a,b")


def test_help_lists_every_flag_without_tensorflow():
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from estimator_app import main\n"
            "sys.argv = ['estimator-train', '--help']\n"
            "try: main.cli()\n"
            "finally: print('tensorflow' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("False\n")
    for names in flags.GROUPS.values():
        for name in names:
            assert f"--{name}" in result.stdout


def test_unknown_flag_ends_with_2_and_one_sentence():
    result = run_program("--modle=dnn")
    assert result.returncode == 2
    assert "Unknown command line flag 'modle'" in result.stderr
    assert "Traceback" not in result.stderr


def test_contradicting_flags_end_with_2_before_tensorflow_is_loaded():
    result = run_program("--data=census", "--train_data=x.csv", "--model_dir=m")
    assert result.returncode == 2
    assert "exclude each other" in result.stderr
    assert "Loading TensorFlow" not in result.stderr
