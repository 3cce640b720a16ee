"""The flags of `estimator-train`, and the one function in which they end: `settings_from_flags`.

A flag takes its default from the settings class that has the field, so a default is written once.
"""

from __future__ import annotations

import dataclasses

from absl import flags

from estimator_app import data_flags, settings
from export import settings as export_settings
from input_fns import formats
from input_fns import settings as input_settings

_INPUT = input_settings.InputSettings
_MODEL = settings.ModelSettings
_TRAIN = settings.TrainSettings
_EXPORT = export_settings.ExportSettings

TF_VERBOSITY = ("error", "warning", "info", "debug")

# Data.
flags.DEFINE_string(
    "data",
    _INPUT.data,
    "Packaged data set: census (for models of tables) or mnist (for those of images).",
)
flags.DEFINE_string(
    "train_data",
    _INPUT.train_data,
    f"Your files: paths or globs, comma-separated. {'; '.join(entry.what for entry in formats.FORMATS.values())}.",
)
flags.DEFINE_string("eval_data", _INPUT.eval_data, "Evaluation files, as --train_data.")
flags.DEFINE_integer("batch_size", _INPUT.batch_size, "Rows a batch.")
flags.DEFINE_integer(
    "shuffle_buffer",
    _INPUT.shuffle_buffer,
    "Rows held for shuffling, 1 GiB of them at most; bounds the memory of the input.",
)
flags.DEFINE_enum(
    "cache",
    _INPUT.cache,
    input_settings.CACHES,
    "Hold all rows ready after the first pass: in memory, in a file that is mapped into memory, or auto: in memory up "
    "to --cache_limit_gb, else in a file. Each epoch is then a shuffle of all rows.",
)
flags.DEFINE_float("cache_limit_gb", _INPUT.cache_limit_gb, "Gigabytes for --cache=auto.")
flags.DEFINE_string(
    "cache_dir", _INPUT.cache_dir, "Directory of the cache's files; default: MODEL_DIR/cache."
)
flags.DEFINE_integer(
    "read_threads",
    _INPUT.read_threads,
    "Threads that read ahead in data of several files or row groups; default: one for each four cores, at most 4.",
)
flags.DEFINE_enum(
    "class_balance",
    _INPUT.class_balance,
    input_settings.CLASS_BALANCES,
    "Let rare classes count as much as frequent ones in training: by weights in the loss, or by sampling their rows "
    "more often.",
)
flags.DEFINE_string(
    "augment_flip",
    _INPUT.augment_flip,
    f"Mirror training images at random: {', '.join(input_settings.FLIPS)}.",
)
flags.DEFINE_float(
    "augment_crop",
    _INPUT.augment_crop,
    "Least side of a random window of training images, as a share in (0, 1]; it is resized back.",
)
flags.DEFINE_float(
    "augment_rotation",
    _INPUT.augment_rotation,
    "Turn training images at random by up to so many degrees, in [0, 180], to either side.",
)
flags.DEFINE_float(
    "augment_color",
    _INPUT.augment_color,
    "Change brightness, contrast and saturation of training images at random by up to this, in [0, 1).",
)

# Model.
flags.DEFINE_string(
    "model",
    _MODEL.model,
    "Model to train, by name (a wrong one lists all), or package.module:function.",
)
flags.DEFINE_list(
    "hidden_units",
    [str(units) for units in _MODEL.hidden_units],
    "Width of each hidden layer, first layer first.",
)
flags.DEFINE_enum(
    "activation",
    _MODEL.activation or None,
    settings.ACTIVATIONS,
    "Function after each hidden layer; default: relu.",
)
flags.DEFINE_float(
    "dropout", _MODEL.dropout, "Share of hidden outputs dropped in training, in [0, 1)."
)
flags.DEFINE_bool(
    "batch_norm", _MODEL.batch_norm, "Normalise each hidden layer's outputs over the batch."
)
flags.DEFINE_enum(
    "optimizer",
    _MODEL.optimizer or None,
    settings.OPTIMIZERS,
    "Optimizer; default: the model's own.",
)
flags.DEFINE_float(
    "learning_rate", _MODEL.learning_rate, "Step size of the optimizer; default: the model's own."
)
flags.DEFINE_float("l1", _MODEL.l1, "Strength of the L1 penalty (ftrl, sdca, boosted_trees).")
flags.DEFINE_float(
    "l2",
    _MODEL.l2,
    "Strength of the L2 penalty (ftrl, sdca, boosted_trees); default: the optimizer's own.",
)
flags.DEFINE_string(
    "example_id_column",
    _MODEL.example_id_column,
    "Column with another value in every row, for --optimizer=sdca; it is not learnt from.",
)
flags.DEFINE_enum(
    "loss",
    _MODEL.loss or None,
    settings.LOSSES,
    "poisson: the label counts something; logistic: it is a share in [0, 1]; default: cross entropy for classes, "
    "squared error for amounts.",
)
flags.DEFINE_enum(
    "loss_reduction",
    _MODEL.loss_reduction or None,
    settings.LOSS_REDUCTIONS,
    "How the losses of a batch's rows become one; default: sum_over_batch_size.",
)
flags.DEFINE_list(
    "head_weights",
    [],
    "Of several labels, how much the loss of each counts, in their order, such as 1,0.01; default: all the same.",
)
flags.DEFINE_integer("n_trees", _MODEL.n_trees, "Trees to grow; default: the model's own.")
flags.DEFINE_integer(
    "max_depth", _MODEL.max_depth, "Questions that a tree asks at most; default: the model's own."
)
flags.DEFINE_integer(
    "num_clusters", _MODEL.num_clusters, "Clusters to look for; default: the model's own."
)
flags.DEFINE_string(
    "extractor",
    _MODEL.extractor,
    "Feature extractor of transfer: directory of a SavedModel, handle of TensorFlow Hub, or mobilenet_v2.",
)
flags.DEFINE_string(
    "extractor_weights", _MODEL.extractor_weights, "File with the weights of mobilenet_v2."
)
flags.DEFINE_bool(
    "fine_tune", _MODEL.fine_tune, "Train the extractor of transfer too, not the new head alone."
)
flags.DEFINE_enum(
    "cell_type",
    _MODEL.cell_type or None,
    settings.CELL_TYPES,
    "Cell of --model=rnn and keras_rnn; default: lstm.",
)
flags.DEFINE_list(
    "sequence_columns",
    list(_MODEL.sequence_columns),
    "Columns of lists that --model=rnn and keras_rnn read step by step; default: all.",
)
flags.DEFINE_string(
    "features",
    _MODEL.features,
    "YAML file that says what is made of single features, see docs/features.md.",
)

# Training.
flags.DEFINE_string(
    "model_dir",
    _TRAIN.model_dir,
    "Directory of the job: checkpoints, logs, schema, settings. Required.",
)
flags.DEFINE_integer("max_steps", _TRAIN.max_steps, "Global step at which training ends.")
flags.DEFINE_float(
    "train_epochs",
    _TRAIN.train_epochs,
    f"Passes over the training data, instead of --max_steps; {_TRAIN.DEFAULT_TRAIN_EPOCHS} if neither is given.",
)
flags.DEFINE_integer("eval_steps", _TRAIN.eval_steps, "Batches an evaluation reads; default: all.")
flags.DEFINE_integer(
    "save_checkpoints_steps",
    _TRAIN.save_checkpoints_steps,
    "Steps between checkpoints; each is evaluated.",
)
flags.DEFINE_integer(
    "keep_checkpoint_max", _TRAIN.keep_checkpoint_max, "Checkpoints that stay on disk."
)
flags.DEFINE_integer(
    "save_summary_steps", _TRAIN.save_summary_steps, "Steps between points of TensorBoard's curves."
)
flags.DEFINE_string(
    "warm_start_from",
    _TRAIN.warm_start_from,
    "Model directory or checkpoint whose weights a new job begins with; rows of known values are kept.",
)
flags.DEFINE_string(
    "warm_start_vars",
    _TRAIN.warm_start_vars,
    "Of these weights, those whose names begin with this regular expression.",
)
flags.DEFINE_float(
    "max_drift",
    _TRAIN.max_drift,
    "Refuse to train if a column of the evaluation data drifts more from the training data, or the training data of a "
    "resumed job from what it first saw; from 0 to 1, see estimator-train data compare.",
)
flags.DEFINE_integer("seed", _TRAIN.seed, "Seed of initial weights, dropout and the order of rows.")
flags.DEFINE_bool(
    "deterministic",
    _TRAIN.deterministic,
    "Make two runs with the same seed equal to the last bit; slower. (The order of rows is equal without it.)",
)

# Export.
flags.DEFINE_string(
    "export_dir", _EXPORT.export_dir, "Base path of exported versions; default: MODEL_DIR/export."
)
flags.DEFINE_enum(
    "exporter",
    _EXPORT.exporter,
    export_settings.EXPORTERS,
    "final: once, after the last step; latest: after every evaluation; best: after every evaluation with a lower loss.",
)
flags.DEFINE_integer(
    "exports_to_keep", _EXPORT.exports_to_keep, "Exported versions that stay on disk."
)
flags.DEFINE_integer(
    "export_warmup_rows",
    _EXPORT.export_warmup_rows,
    "Rows of the evaluation data that each export carries as warm-up requests for the model server: 0 to 100.",
)

# Output.
flags.DEFINE_enum(
    "tf_verbosity",
    "warning",
    TF_VERBOSITY,
    "What TensorFlow itself says, from this level on. info: also its account of every session, loss and checkpoint, "
    "and each of its deprecation notices, of which otherwise one line tells how many there were; debug: also what its "
    "C++ libraries say.",
)

GROUPS = {
    title: tuple(field.name for field in dataclasses.fields(section) if field.name in flags.FLAGS)
    for title, section in (
        ("Data", _INPUT),
        ("Model", _MODEL),
        ("Training", _TRAIN),
        ("Export", _EXPORT),
    )
} | {"Output": ("tf_verbosity",)}


def settings_from_flags(values: flags.FlagValues) -> settings.RunSettings:
    """Returns the settings that the parsed flags describe.

    Raises:
      ValueError: a value, or a combination of values, that no job can have; one sentence.
    """
    hidden_units = data_flags.numbers("hidden_units", values, "128,64")
    head_weights = data_flags.numbers("head_weights", values, "1,0.01", float)
    return settings.RunSettings(
        input=data_flags.input_settings_from_flags(values),
        train=_TRAIN(**data_flags.section(_TRAIN, values)),
        model=_MODEL(
            **data_flags.section(
                _MODEL,
                values,
                hidden_units=hidden_units,
                head_weights=head_weights,
                **_choices(values),
            )
        ),
        export=_EXPORT(**data_flags.section(_EXPORT, values)),
    )


def _choices(values: flags.FlagValues) -> dict[str, str]:
    """Returns the model's flags that are one of some names: absl has None where settings have an empty text."""
    names = ("activation", "optimizer", "cell_type", "loss", "loss_reduction")
    return {name: values[name].value or "" for name in names}
