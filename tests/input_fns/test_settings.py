import subprocess
import sys

import pytest

from input_fns import errors, settings


@pytest.mark.parametrize(
    "fields, sentence",
    [
        ({}, "nothing to train on.*--data=census.*--train_data"),
        ({"eval_data": "e.csv"}, "nothing to train on, only --eval_data=e.csv"),
        ({"data": "census", "train_data": "a.csv"}, "--data=census .* --train_data .* exclude"),
        ({"data": "census", "eval_data": "a.csv"}, "--data=census .* --eval_data .* exclude"),
        ({"data": "census", "delimiter": "::"}, "--delimiter must be one character, not '::'"),
        (
            {"data": "census", "format": "xls"},
            "--format must be one of .*csv.*parquet.*, not 'xls'",
        ),
        ({"data": "census", "batch_size": 0}, "--batch_size must be a whole number >= 1, not 0"),
        ({"data": "census", "shuffle_buffer": -1}, "--shuffle_buffer must be .* >= 0, not -1"),
        ({"data": "census", "seed": -1}, "--seed must be .* >= 0, not -1"),
        ({"data": "census", "bad_rows": "drop"}, "--bad_rows must be one of error, skip, not"),
        ({"data": "census", "task": "rank"}, "--task must be one of auto, classification, regr"),
        (
            {"train_data": "a.csv", "label_column": "y", "weight_column": "y"},
            "must name two different columns, both are 'y'",
        ),
    ],
)
def test_unusable_settings_are_refused_with_a_sentence(
    fields: dict[str, object], sentence: str
) -> None:
    with pytest.raises(errors.SettingsError, match=sentence):
        settings.InputSettings(**fields)  # type: ignore[arg-type]


def test_a_schema_may_stand_in_for_the_label_column() -> None:
    given = settings.InputSettings(train_data="a.csv", schema="schema.pbtxt")
    assert given.batch_size == settings.InputSettings.batch_size


def test_settings_and_schema_load_without_tensorflow() -> None:
    program = (
        "import sys; from input_fns import settings, schema, inference, sources, statistics; "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
