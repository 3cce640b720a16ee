"""What to read and how: the settings of the input, checked when they are made."""

from __future__ import annotations

import dataclasses

from input_fns import errors

TASKS = ("auto", "classification", "regression")
BAD_ROWS = ("error", "skip")


@dataclasses.dataclass(frozen=True)
class InputSettings:
    """Which examples to read, what they mean, and how they are batched.

    Either `data` names a packaged data set, or `train_data` (and `eval_data`) name the user's files.

    Attributes:
        data: name of a packaged data set, such as "census" or "mnist".
        train_data: files to train on: paths or globs, separated by commas.
        eval_data: files to evaluate on, written likewise; empty means no evaluation data.
        label_column: the column to learn; a packaged data set knows its own.
        weight_column: column of example weights; empty means that all examples weigh the same.
        schema: path of a schema.pbtxt; empty means that the schema is inferred.
        task: "classification", "regression", or "auto" to tell from the label's values.
        batch_size: examples a batch.
        shuffle_buffer: rows held in memory to shuffle training data; 0 keeps the files' order.
        cache: whether all rows are held in memory after the first pass, however many there are.
        bad_rows: "error" refuses the first row that does not fit, "skip" leaves such rows out.
        seed: of the order in training; None gives another order each time.
    """

    data: str = ""
    train_data: str = ""
    eval_data: str = ""
    label_column: str = ""
    weight_column: str = ""
    schema: str = ""
    task: str = "auto"
    batch_size: int = 128
    shuffle_buffer: int = 100_000
    cache: bool = False
    bad_rows: str = "error"
    seed: int | None = None

    def __post_init__(self) -> None:
        self._check_sources()
        _check_choice("task", self.task, TASKS)
        _check_choice("bad_rows", self.bad_rows, BAD_ROWS)
        _check_at_least("batch_size", self.batch_size, 1)
        _check_at_least("shuffle_buffer", self.shuffle_buffer, 0)
        if self.seed is not None:
            _check_at_least("seed", self.seed, 0)
        if self.weight_column and self.weight_column == self.label_column:
            raise errors.SettingsError(
                "--weight_column and --label_column must name two different columns, "
                f"both are {self.label_column!r}. Change one of them."
            )

    def _check_sources(self) -> None:
        if self.data and (self.train_data or self.eval_data):
            own = "--train_data" if self.train_data else "--eval_data"
            raise errors.SettingsError(
                f"--data={self.data} (packaged data) and {own} (your own files) exclude each "
                "other. Leave one of them out."
            )
        if not self.data and not self.train_data:
            given = f", only --eval_data={self.eval_data} was given" if self.eval_data else ""
            raise errors.SettingsError(
                f"There is nothing to train on{given}. Pass --data with the name of a packaged "
                "data set (--data=census), or --train_data with your own files."
            )
        if self.train_data and not self.label_column and not self.schema:
            raise errors.SettingsError(
                f"--train_data={self.train_data} needs --label_column, the name of the column to "
                "learn, or a --schema that marks it."
            )


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise errors.SettingsError(f"--{name} must be one of {', '.join(known)}, not {value!r}.")


def _check_at_least(name: str, value: int, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise errors.SettingsError(f"--{name} must be a whole number >= {low}, not {value!r}.")
