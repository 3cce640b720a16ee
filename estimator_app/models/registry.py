"""Models by name. Whatever a model is built from, it becomes an Estimator here; nothing behind knows the difference."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import importlib.util
from typing import Any

from estimator_app import settings as settings_lib
from estimator_app.compat import estimator, keras
from estimator_app.models import (
    boosted_trees,
    clustering,
    columns,
    derived,
    feature_parser,
    heads,
    keras_estimator,
    keras_images,
    keras_recurrent,
    keras_tables,
    keras_transfer,
    naming,
    premade,
    recurrent,
)
from estimator_app.models.problem import Problem
from input_fns import errors, named_objects


class UnknownModelError(ValueError):
    """No model goes by that name."""


@dataclasses.dataclass(frozen=True)
class Model:
    """One entry of the registry.

    Attributes:
      build: problem -> Estimator.
      label_as: how input functions deliver a label of classes: its "value" (a string where the label has a vocabulary,
        as premade heads with `label_vocabulary` take it) or its "index" (int64 class id in [0, num_classes)).
      settings: the fields of `ModelSettings` that it has a use for.
      takes_images: whether the data has to be one feature of images, with a label of classes.
      takes_labels: whether there may be several labels.
      one_pass: whether it learns from one pass over the rows, whatever the number of steps.
      package: one that it needs and that is an extra of its name.
      takes_lists: which features of lists of any length it learns from: "none", those of text and "ids", or "all".
      check: refuses its own settings, before any data is read, by a SettingsError.
    """

    build: Callable[[Problem], Any]
    label_as: str
    settings: tuple[str, ...]
    takes_images: bool = False
    takes_labels: bool = False
    one_pass: bool = False
    package: str = ""
    takes_lists: str = "none"
    check: Callable[[settings_lib.ModelSettings], None] | None = None


_NETWORK = ("hidden_units", "activation", "dropout", "batch_norm")
_GRADIENTS = ("optimizer", "learning_rate", "l1", "l2")
_HEAD = ("loss", "loss_reduction", "head_weights")
_COLUMNS = ("features",)

MODELS = {
    "baseline": Model(
        premade.baseline, "value", _GRADIENTS + _HEAD, takes_labels=True, takes_lists="all"
    ),
    "boosted_trees": Model(
        boosted_trees.boosted_trees,
        "value",
        ("n_trees", "max_depth", "learning_rate", "l1", "l2"),
        one_pass=True,
        package=boosted_trees.PACKAGE,
    ),
    "cnn_dropout": Model(keras_images.cnn_dropout, "index", _GRADIENTS, takes_images=True),
    "cnn_functional": Model(keras_images.cnn_functional, "index", _GRADIENTS, takes_images=True),
    "cnn_small": Model(keras_images.cnn_small, "index", _GRADIENTS, takes_images=True),
    "cnn_subclassed": Model(keras_images.cnn_subclassed, "index", _GRADIENTS, takes_images=True),
    "dnn": Model(
        premade.dnn,
        "value",
        _COLUMNS + _NETWORK + _GRADIENTS + _HEAD,
        takes_labels=True,
        takes_lists="ids",
    ),
    "dnn_linear": Model(
        premade.dnn_linear,
        "value",
        _COLUMNS + _NETWORK + _GRADIENTS + _HEAD,
        takes_labels=True,
        takes_lists="ids",
    ),
    "keras_baseline": Model(keras_tables.keras_baseline, "index", _GRADIENTS),
    "keras_mlp": Model(keras_tables.keras_mlp, "index", _NETWORK + _GRADIENTS),
    "keras_linear": Model(keras_tables.keras_linear, "index", _GRADIENTS),
    "keras_rnn": Model(
        keras_recurrent.keras_rnn,
        "index",
        ("hidden_units", "cell_type", "sequence_columns", "dropout") + _GRADIENTS,
        takes_lists="all",
    ),
    "keras_wide_deep": Model(keras_tables.keras_wide_deep, "index", _NETWORK + _GRADIENTS),
    "kmeans": Model(clustering.kmeans, "index", _COLUMNS + ("num_clusters",)),
    "linear": Model(
        premade.linear,
        "value",
        _COLUMNS + _GRADIENTS + ("example_id_column",) + _HEAD,
        takes_labels=True,
        takes_lists="ids",
    ),
    "mlp_300_100": Model(keras_images.mlp_300_100, "index", _GRADIENTS, takes_images=True),
    "mnist_mlp": Model(
        keras_images.mnist_mlp, "index", ("dropout",) + _GRADIENTS, takes_images=True
    ),
    "mnist_mlp_dropout": Model(
        keras_images.mnist_mlp_dropout, "index", _GRADIENTS, takes_images=True
    ),
    "rnn": Model(
        recurrent.rnn,
        "value",
        _COLUMNS + ("hidden_units", "cell_type", "sequence_columns") + _GRADIENTS + _HEAD,
        takes_labels=True,
        takes_lists="all",
    ),
    "transfer": Model(
        keras_transfer.transfer,
        "index",
        ("extractor", "extractor_weights", "fine_tune", "dropout") + _GRADIENTS,
        takes_images=True,
        check=keras_transfer.check,
    ),
}

# A builder of the user's is given them all.
_ALL_SETTINGS = tuple(
    field.name for field in dataclasses.fields(settings_lib.ModelSettings) if field.name != "model"
)

_BUILT_IN = tuple(model.build for model in MODELS.values())


def find(name: str) -> Model:
    """Returns the model of that name, or the user's own builder for `package.module:function`.

    A user's function takes a `Problem` and returns an Estimator or a compiled Keras model. Its attribute `label_as`, if
    it has one, says how it wants labels; without it they come as class ids.

    Raises:
      UnknownModelError: no such name, module or function.
    """
    if ":" in name:
        return _own_model(name)
    if name not in MODELS:
        raise UnknownModelError(
            f"Unknown model '{name}'. Known models: {', '.join(sorted(MODELS))}; your own as package.module:function."
        )
    return MODELS[name]


def choose(settings: settings_lib.ModelSettings) -> Model:
    """Returns the model that the settings name, if it has a use for every one that is not at its default.

    Raises:
      UnknownModelError: no such name, module or function.
      SettingsError: a setting that the model would not heed, or a package is missing that it needs.
    """
    model = find(settings.model)
    if model.package and importlib.util.find_spec(model.package) is None:
        raise errors.SettingsError(
            f"Expected the package {model.package} for --model={settings.model}, found none. Install it: pip install "
            f"'estimator-service[{settings.model}]'."
        )
    for field in dataclasses.fields(settings):
        if field.name == "model" or getattr(settings, field.name) == field.default:
            continue
        if field.name not in model.settings:
            taken = ", ".join(f"--{name}" for name in model.settings)
            raise errors.SettingsError(
                f"Expected --model={settings.model} without --{field.name}, of which it makes no use; it takes "
                f"{taken}. Leave --{field.name} out, or choose another model."
            )
    feature_parser.read(settings.features)  # raises before the data is read
    if settings.optimizer == "sdca" and "example_id_column" not in model.settings:
        raise errors.SettingsError(
            f"Expected --optimizer=sdca with --model=linear, found --model={settings.model}. Choose another optimizer."
        )
    if model.check is not None:
        model.check(settings)
    return model


def build(model: Model, problem: Problem) -> Any:
    """Returns the Estimator that `model` makes for `problem`.

    Raises:
      SchemaError: the data is not what the model takes.
      SettingsError: a setting is not for such data.
      UnknownModelError: a builder of the user's returned something else.
    """
    schema = problem.schema
    if model.takes_images and not keras_images.is_image(schema):
        found = ", ".join(
            f"{feature.name} {list(feature.shape)}" for feature in schema.features[:3]
        )
        raise errors.SchemaError(
            f"Expected one image feature and a label of classes for --model={problem.settings.model}, found "
            f"{len(schema.features)} feature(s), such as {found}. Use --data=mnist, or a model for tables such as "
            f"keras_mlp."
        )
    if not model.takes_labels and schema.task in ("multi_label", "multi_head"):
        able = ", ".join(name for name, known in sorted(MODELS.items()) if known.takes_labels)
        raise errors.SchemaError(
            f"Expected one label for --model={problem.settings.model}, found --task=multi_label or several "
            f"({', '.join(label.name for label in schema.labels)}). Give one --label_column, or take one of {able}."
        )
    heads.check_weights(problem)
    _check_lists(model, problem)
    if model.build not in _BUILT_IN:
        built = model.build(problem)
    elif "features" in model.settings:
        built = derived.build_with_derived_features(
            lambda made: naming.build_with_graph_names(model.build, made),
            problem,
            sequences=model.takes_lists == "all",
        )
    else:
        built = naming.build_with_graph_names(model.build, problem)
    if isinstance(built, keras.Model):
        built = keras_estimator.to_estimator(built, problem)
    if not isinstance(built, estimator.Estimator):
        raise UnknownModelError(
            f"Expected --model={problem.settings.model} to return an Estimator, found {type(built).__name__}. Return "
            f"the Estimator, or the compiled Keras model, that the function makes."
        )
    return built


def _own_model(name: str) -> Model:
    function = named_objects.find(name, "model", UnknownModelError)
    if not callable(function):
        raise UnknownModelError(
            f"Expected --model={name} to name a function, found {type(function).__name__}. Name the function that "
            f"makes the model."
        )
    label_as = getattr(function, "label_as", "index")
    return Model(function, label_as, _ALL_SETTINGS, takes_labels=True, takes_lists="all")


def _check_lists(model: Model, problem: Problem) -> None:
    """Raises SchemaError if a feature is a list of which the model makes nothing."""
    for feature in problem.schema.features:
        named = feature.name in problem.features.treatments  # which says what is made of it
        if not feature.is_list or model.takes_lists == "all" or named:
            continue
        is_number = columns.is_number(feature)
        if model.takes_lists == "ids" and not is_number:
            continue
        takes = (
            "lists of text or ids" if model.takes_lists == "ids" else "features of a fixed shape"
        )
        ids = (
            " If these are ids, say is_categorical: true in the schema."
            if feature.dtype == "int64"
            else ""
        )
        raise errors.SchemaError(
            f"Expected {takes} for --model={problem.settings.model}, found lists of "
            f"{'numbers' if is_number else 'text or ids'} in column {feature.name!r}. Use --model=rnn, or leave the "
            f"column out.{ids if is_number else ''}"
        )
