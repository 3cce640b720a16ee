"""What to read and how: the settings of the input, checked when they are made."""

from __future__ import annotations

import dataclasses
import os

from input_fns import errors, formats

TASKS = ("auto", "classification", "regression", "multi_label")
BAD_ROWS = ("error", "skip")
FLIPS = ("horizontal", "vertical", "both")
CACHES = ("none", "memory", "file", "auto")
CLASS_BALANCES = ("none", "weights", "sampling")


@dataclasses.dataclass(frozen=True)
class InputSettings:
    """Which examples to read, what they mean, and how they are batched.

    Either `data` names a packaged data set, or `train_data` (and `eval_data`) name the user's files.

    Attributes:
        data: name of a packaged data set, such as "census" or "mnist".
        train_data: files to train on: paths or globs, separated by commas.
        eval_data: files to evaluate on, written likewise; empty means no evaluation data.
        train_query: SELECT of the rows to train on, where `train_data` is the URL of a database.
        eval_query: SELECT of the rows to evaluate on, likewise; without `eval_data`, of `train_data`'s database.
        format: of those files, a name of `formats.FORMATS`; empty tells it by their endings.
        columns: names of the columns of CSV files without a header.
        delimiter: what stands between the cells of CSV; empty means a comma, in `.tsv` files a tab.
        image_size: (height, width) that images are resized to; empty takes the size that all have.
        image_channels: 1 for grey, 3 for colour; 0 takes what the first image has.
        validation_share: of a folder of images, the share that is kept for evaluation; 0 for none.
        augment_flip: one of FLIPS: training images are mirrored at random; empty for none.
        augment_crop: least side, in (0, 1], of the window of a training image that is kept, as a share of the image's
            own; the window's side and place are drawn at random, and it is resized back. 1 keeps all.
        augment_rotation: degrees, in [0, 180], up to which training images are turned at random, to either side.
        augment_color: how far, in [0, 1), brightness, contrast and saturation of training images are changed.
        label_column: the column to learn, or several separated by commas; a packaged data set knows its own.
        weight_column: column of example weights; empty means that all examples weigh the same.
        schema: path of a schema.pbtxt; empty means that the schema is inferred.
        task: "classification", "regression", "multi_label" (0 and 1 of classes that do not exclude each other), or
            "auto" to tell from the label's values.
        batch_size: examples a batch.
        shuffle_buffer: rows held in memory to shuffle training data, 1 GiB of them at most; 0 keeps the files' order.
        cache: whether all rows are held ready after the first pass: "none" of more than `shuffle_buffer`, in "memory",
            in a "file" of `cache_dir` that is mapped into memory, or "auto": in memory up to `cache_limit_gb`, else in
            a file.
        cache_dir: directory of such files; they are used again while data and schema are the same.
        cache_limit_gb: gigabytes of rows that "auto" holds in memory.
        read_threads: threads that read ahead when the source has several parts; None takes one for each four cores.
        class_balance: makes rare classes count as much as frequent ones in training: "weights" by the loss, "sampling"
            by how often their rows come, "none" not.
        bad_rows: "error" refuses the first row that does not fit, "skip" leaves such rows out.
        seed: of the order in training; None gives each input function another order.
    """

    data: str = ""
    train_data: str = ""
    eval_data: str = ""
    train_query: str = ""
    eval_query: str = ""
    format: str = ""
    columns: tuple[str, ...] = ()
    delimiter: str = ""
    image_size: tuple[int, ...] = ()
    image_channels: int = 0
    validation_share: float = 0.0
    augment_flip: str = ""
    augment_crop: float = 1.0
    augment_rotation: float = 0.0
    augment_color: float = 0.0
    label_column: str = ""
    weight_column: str = ""
    schema: str = ""
    task: str = "auto"
    batch_size: int = 128
    shuffle_buffer: int = 100_000
    cache: str = "none"
    cache_dir: str = ""
    cache_limit_gb: float = 1.0
    read_threads: int | None = None
    class_balance: str = "none"
    bad_rows: str = "error"
    seed: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        object.__setattr__(self, "image_size", tuple(self.image_size))
        self._check_sources()
        self._check_queries()
        _check_choice("format", self.format, ("", *formats.FORMATS))
        if len(self.delimiter) > 1:
            raise errors.SettingsError(
                f"--delimiter must be one character, not {self.delimiter!r}."
            )
        _check_choice("task", self.task, TASKS)
        _check_choice("bad_rows", self.bad_rows, BAD_ROWS)
        self._check_images()
        self._check_augmentation()
        _check_at_least("batch_size", self.batch_size, 1)
        _check_at_least("shuffle_buffer", self.shuffle_buffer, 0)
        _check_choice("cache", self.cache, CACHES)
        _check_choice("class_balance", self.class_balance, CLASS_BALANCES)
        if not self.cache_limit_gb > 0:
            raise errors.SettingsError(
                f"--cache_limit_gb must be > 0, not {self.cache_limit_gb!r}. To hold nothing: --cache=none."
            )
        if self.read_threads is not None:
            _check_at_least("read_threads", self.read_threads, 0)
        if self.seed is not None:
            _check_at_least("seed", self.seed, 0)
        if self.weight_column and self.weight_column in (
            self.label_column,
            *self.label_column.split(","),
        ):
            raise errors.SettingsError(
                "--weight_column and --label_column must name two different columns, "
                f"both are {self.weight_column!r}. Change one of them."
            )

    @property
    def augments(self) -> bool:
        """Whether training images are changed at random."""
        return bool(
            self.augment_flip
            or self.augment_crop < 1
            or self.augment_rotation
            or self.augment_color
        )

    @property
    def num_read_threads(self) -> int:
        """How many threads read ahead."""
        if self.read_threads is not None:
            return self.read_threads
        return min(4, (os.cpu_count() or 1) // 4)

    def _check_sources(self) -> None:
        if self.data and (self.train_data or self.eval_data):
            own = "--train_data" if self.train_data else "--eval_data"
            raise errors.SettingsError(
                f"--data={self.data} (packaged data) and {own} (your own files) exclude each "
                "other. Leave one of them out."
            )
        if not self.data and not self.train_data:
            given = ""
            if self.eval_data:
                given = f", only --eval_data={formats.hide_password(self.eval_data)} was given"
            raise errors.SettingsError(
                f"There is nothing to train on{given}. Pass --data with the name of a packaged "
                "data set (--data=census), or --train_data with your own files."
            )

    def _check_queries(self) -> None:
        self._check_query("train", self.train_data, self.train_query)
        # Without a query nothing is wrong yet: not every command evaluates.
        if self.eval_data or self.eval_query:
            self._check_query("eval", self.eval_data or self.train_data, self.eval_query)

    def _check_query(self, role: str, named: str, query: str) -> None:
        is_database = formats.is_database(named) if not self.format else self.format == "sql"
        if is_database and not query:
            raise errors.SettingsError(
                f"{formats.hide_password(named)} is a database, of which --{role}_query tells the rows; there is none. "
                f"Pass --{role}_query='SELECT ...'."
            )
        if query and not is_database:
            raise errors.SettingsError(
                f"--{role}_query asks a database, found {formats.hide_password(named or self.data)}, which is none. "
                f"Pass the URL of one, such as --{role}_data=sqlite:///my.db, or leave the query out."
            )

    def _check_images(self) -> None:
        if self.image_size and (len(self.image_size) != 2 or min(self.image_size) < 1):
            raise errors.SettingsError(
                "--image_size must be a height and a width such as 224,224, not "
                f"{','.join(map(str, self.image_size))!r}."
            )
        if self.image_channels not in (0, 1, 3):
            raise errors.SettingsError(
                f"--image_channels must be 1 (grey) or 3 (colour), not {self.image_channels!r}."
            )
        if not 0.0 <= self.validation_share < 1.0:
            raise errors.SettingsError(
                f"--validation_share must be in [0, 1), not {self.validation_share!r}."
            )

    def _check_augmentation(self) -> None:
        _check_choice("augment_flip", self.augment_flip, ("", *FLIPS))
        if not 0.0 < self.augment_crop <= 1.0:
            raise errors.SettingsError(
                f"--augment_crop must be a share of the image's sides in (0, 1], not {self.augment_crop!r}."
            )
        if not 0.0 <= self.augment_rotation <= 180.0:
            raise errors.SettingsError(
                f"--augment_rotation must be degrees in [0, 180], not {self.augment_rotation!r}."
            )
        if not 0.0 <= self.augment_color < 1.0:
            raise errors.SettingsError(
                f"--augment_color must be in [0, 1), not {self.augment_color!r}."
            )


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        named = ", ".join(filter(None, known))
        raise errors.SettingsError(f"--{name} must be one of {named}, not {value!r}.")


def _check_at_least(name: str, value: int, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise errors.SettingsError(f"--{name} must be a whole number >= {low}, not {value!r}.")
