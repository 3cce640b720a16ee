"""Settings of a training job: each package owns its part, `RunSettings` only holds them.

Nothing here imports TensorFlow, so that `--help` answers at once. Wrong values are refused when a settings object is
made, by a ValueError of one sentence: what was expected, what was found, what to do.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from typing import Any, Optional

from export import settings as export_settings
from input_fns import formats
from input_fns import settings as input_settings

OPTIMIZERS = ("adagrad", "adam", "ftrl", "momentum", "rmsprop", "sdca", "sgd")
ACTIVATIONS = ("elu", "gelu", "relu", "selu", "sigmoid", "softplus", "swish", "tanh")
CELL_TYPES = ("gru", "lstm", "simple_rnn")
LOSSES = ("logistic", "poisson")
LOSS_REDUCTIONS = ("sum", "sum_over_batch_size")
PROGRESS = ("auto", "bar", "lines", "none")


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """What is trained. A model directory belongs to one value of this for good.

    A model takes the settings that the registry's table names; another one has to stay at its default.

    Attributes:
      model: a name from `estimator_app.models.registry`, or `package.module:function`.
      hidden_units: width of each hidden layer of the deep part, first layer first.
      activation: one of ACTIVATIONS, after each hidden layer; empty means relu.
      dropout: share of a hidden layer's outputs set to zero in training, in [0, 1).
      batch_norm: whether each hidden layer's outputs are normalised over the batch.
      optimizer: one of OPTIMIZERS, for the deep part (the linear model has it as its only one); empty means the
        model's own default.
      learning_rate: step size of that optimizer; None means the model's own default.
      l1: strength of the L1 penalty on weights, of an optimizer that has one (ftrl, sdca) or on trees' leaves.
      l2: strength of the L2 penalty, likewise; None means the optimizer's own default.
      example_id_column: column with another value in every row, by which sdca knows a row again; not learnt from.
      loss: "poisson" for counts, "logistic" for shares in [0, 1]; empty means the label's own: cross entropy for
        classes, squared error for an amount.
      loss_reduction: one of LOSS_REDUCTIONS; empty means sum_over_batch_size.
      head_weights: of several labels, how much the loss of each counts, in their order; empty means all the same.
      n_trees: how many trees are grown, of several classes for each; None means the model's own default.
      max_depth: how many questions a tree asks at most; None means the model's own default.
      num_clusters: how many clusters are looked for; None means the model's own default.
      extractor: of `transfer`: directory of a SavedModel, handle of TensorFlow Hub, or "mobilenet_v2".
      extractor_weights: of `mobilenet_v2`: file with its weights; empty means random ones.
      fine_tune: whether the extractor is trained too, not the new head alone.
      cell_type: one of CELL_TYPES, of a recurrent network; empty means lstm.
      sequence_columns: lists that a recurrent network reads step by step; empty means all lists.
      features: YAML file that says what is made of single features; empty means the defaults of their kinds.
    """

    model: str = "dnn_linear"
    hidden_units: tuple[int, ...] = (128, 64)
    activation: str = ""
    dropout: float = 0.0
    batch_norm: bool = False
    optimizer: str = ""
    learning_rate: Optional[float] = None
    l1: float = 0.0
    l2: Optional[float] = None
    example_id_column: str = ""
    loss: str = ""
    loss_reduction: str = ""
    head_weights: tuple[float, ...] = ()
    n_trees: Optional[int] = None
    max_depth: Optional[int] = None
    num_clusters: Optional[int] = None
    extractor: str = ""
    extractor_weights: str = ""
    fine_tune: bool = False
    cell_type: str = ""
    sequence_columns: tuple[str, ...] = ()
    features: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden_units", tuple(self.hidden_units))
        object.__setattr__(self, "head_weights", tuple(self.head_weights))
        object.__setattr__(self, "sequence_columns", tuple(self.sequence_columns))
        _require(bool(self.model), "--model to name a model", "none")
        _require(
            bool(self.hidden_units) and all(units >= 1 for units in self.hidden_units),
            "--hidden_units to be positive whole numbers such as 128,64",
            ",".join(str(units) for units in self.hidden_units) or "none",
        )
        _require(0.0 <= self.dropout < 1.0, "0 <= --dropout < 1", self.dropout)
        for name, known in (
            ("activation", ACTIVATIONS),
            ("optimizer", OPTIMIZERS),
            ("cell_type", CELL_TYPES),
            ("loss", LOSSES),
            ("loss_reduction", LOSS_REDUCTIONS),
        ):
            value = getattr(self, name)
            _require(
                value in ("", *known), f"--{name} to be one of {', '.join(sorted(known))}", value
            )
        _require(
            self.learning_rate is None or 0 < self.learning_rate < math.inf,
            "a finite --learning_rate > 0",
            self.learning_rate,
        )
        _require(0.0 <= self.l1 < math.inf, "a finite --l1 >= 0", self.l1)
        _require(self.l2 is None or 0.0 <= self.l2 < math.inf, "a finite --l2 >= 0", self.l2)
        _require(
            all(0 <= weight < math.inf for weight in self.head_weights),
            "finite --head_weights >= 0",
            ",".join(str(weight) for weight in self.head_weights),
        )
        for name in ("num_clusters", "n_trees", "max_depth"):
            value = getattr(self, name)
            _require(value is None or value >= 1, f"--{name} >= 1", value)


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """How long and how often: everything about a job that a later start may change.

    Attributes:
      model_dir: checkpoints, TensorBoard's logs, schema and settings of the job. Required.
      max_steps: global step at which training ends. One of this and `train_epochs` may be given.
      train_epochs: passes over the training data; 10 if neither is given. Turned into steps at the start.
      eval_steps: batches an evaluation reads; None means all of the evaluation data.
      save_checkpoints_steps: steps between two checkpoints. Every checkpoint is evaluated.
      keep_checkpoint_max: how many checkpoints stay.
      save_summary_steps: steps between two points of TensorBoard's curves.
      warm_start_from: model directory or checkpoint whose weights the job begins with; only its first start heeds it.
      warm_start_vars: regular expression; of these weights, those whose names begin with it.
      seed: of the initial weights, dropout and the order of the rows.
      deterministic: whether kernels whose sums depend on threads are exchanged for slower ones.
      max_drift: largest drift, from 0 to 1, that a column of the evaluation data may have from the training data, and
        one of the training data from what the job first saw; None checks nothing.
      progress: "bar" with steps/s, loss and time left, plain "lines", "none"; "auto" is a bar on a terminal.
    """

    model_dir: str = ""
    max_steps: Optional[int] = None
    train_epochs: Optional[float] = None
    eval_steps: Optional[int] = None
    save_checkpoints_steps: int = 1000
    keep_checkpoint_max: int = 5
    save_summary_steps: int = 100
    warm_start_from: str = ""
    warm_start_vars: str = ".*"
    seed: int = 1
    deterministic: bool = False
    max_drift: Optional[float] = None
    progress: str = "auto"

    DEFAULT_TRAIN_EPOCHS = 10

    def __post_init__(self) -> None:
        _require(
            bool(self.model_dir),
            "--model_dir, the directory that keeps the job (such as runs/census)",
            "none",
        )
        if self.max_steps is not None and self.train_epochs is not None:
            raise ValueError(
                f"Expected one of --max_steps and --train_epochs, found both ({self.max_steps} and "
                f"{self.train_epochs:g}). Leave one out."
            )
        for name in (
            "max_steps",
            "train_epochs",
            "eval_steps",
            "save_checkpoints_steps",
            "keep_checkpoint_max",
        ):
            value = getattr(self, name)
            _require(value is None or 0 < value < math.inf, f"--{name} > 0", value)
        _require(self.save_summary_steps > 0, "--save_summary_steps > 0", self.save_summary_steps)
        _require_pattern("warm_start_vars", self.warm_start_vars)
        _require(
            bool(self.warm_start_from) or self.warm_start_vars == type(self).warm_start_vars,
            "--warm_start_vars with --warm_start_from alone",
            self.warm_start_vars,
        )
        _require(
            self.max_drift is None or 0 <= self.max_drift <= 1,
            "--max_drift from 0 to 1",
            self.max_drift,
        )
        _require(
            self.progress in PROGRESS,
            f"--progress to be one of {', '.join(PROGRESS)}",
            self.progress,
        )


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """All of one training job, made from flags by `flags.settings_from_flags` or by hand.

    Attributes:
      input: which data, and how it is read.
      model: what is trained.
      train: where, how long, how often.
      export: when and where SavedModels are written.
    """

    input: input_settings.InputSettings
    train: TrainSettings
    model: ModelSettings = dataclasses.field(default_factory=ModelSettings)
    export: export_settings.ExportSettings = dataclasses.field(
        default_factory=export_settings.ExportSettings
    )

    @property
    def export_dir(self) -> str:
        """Base path of the exported versions."""
        return self.export.export_dir or os.path.join(self.train.model_dir, "export")

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Returns the settings as JSON can hold them, a section a package; passwords in URLs are not among them."""
        return {
            section.name: {
                name: _to_json(value)
                for name, value in dataclasses.asdict(getattr(self, section.name)).items()
            }
            for section in dataclasses.fields(self)
        }


def _to_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return formats.hide_password(value) if isinstance(value, str) else value


def _require_pattern(name: str, pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"Expected --{name} to be a regular expression; found '{pattern}' ({error})."
        ) from None


def _require(holds: bool, expected: str, found: object) -> None:
    if not holds:
        raise ValueError(
            f"Expected {expected}; found {found!r}."
            if found != "none"
            else f"Expected {expected}; found none."
        )
