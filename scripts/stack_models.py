"""The models that scripts/compare_stacks trains on every stack, and their data: census rows in a fixed order.

Written for every stack at once, TensorFlow 1.15 under Python 3.7 included, so it imports no TensorFlow: what a model
is built from comes in an `Api`. Models are tiny; each covers an Estimator, a head or an optimizer of its own.
"""

from __future__ import annotations

import csv
import gzip
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import numpy as np

CENSUS = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
    "input_fns",
    "packaged_data",
    "census",
    "train.csv.gz",
)
NUMBERS = ("age", "educational-num", "capital-gain")
TEXTS = ("workclass", "education", "marital-status", "relationship")
TOKENS = ("workclass", "education", "marital-status", "occupation", "relationship")
_SCALES = {"age": 40.0, "educational-num": 10.0, "capital-gain": 10000.0}
_WORKCLASSES = ("Private", "Self-emp-not-inc", "Local-gov", "State-gov", "?")
_MARRIAGES = ("Married-civ-spouse", "Never-married", "Divorced", "Separated", "Widowed")


class Api(NamedTuple):
    """What a stack offers.

    Attributes:
      tf: the `tensorflow` module.
      estimator_v1: the V1 names, `tf.compat.v1.estimator` of old.
      estimator: the V2 names, `tf.estimator` of old; None on TensorFlow 1.
      keras: legacy Keras; None on TensorFlow 1.
      model_to_estimator: the V2 form; None on TensorFlow 1.
    """

    tf: Any
    estimator_v1: Any
    estimator: Any = None
    keras: Any = None
    model_to_estimator: Any = None


class Case(NamedTuple):
    """One model.

    Attributes:
      name: unique; V1 ones start with "v1_".
      build: (api, RunConfig) -> Estimator.
      features: "columns" (NUMBERS and TEXTS), "vector" (`x`, [batch, 3] float32), "tokens" ([batch, 5] strings),
        "examples" (columns and `example_id`).
      label: "class" (0 or 1), "classes" (0, 1, 2), "amount" (float), "count" (whole float), "tags" ([batch, 3] of 0
        and 1), "both" (a dict of class and amount), or None.
      on_tf1: TensorFlow 1.15 has it as well.
      limit: the largest relative difference between stacks that is accepted.
      why: why the limit is not the usual one.
    """

    name: str
    build: Callable[[Api, Any], Any]
    features: str
    label: Optional[str]
    on_tf1: bool = False
    limit: float = 1e-6
    why: str = ""


def read_rows(path: str, count: int) -> List[Dict[str, str]]:
    """Returns the first `count` rows of a CSV file with a header, plain or .gz."""
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:  # type: ignore[operator]
        rows = [row for row, _ in zip(csv.DictReader(file), range(count))]
    if len(rows) < count:
        raise ValueError("Expected %d rows in %s, found %d." % (count, path, len(rows)))
    return rows


def write_rows(path: str, rows: List[Dict[str, str]]) -> None:
    """Writes rows as a CSV file that `read_rows` reads."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def features_of(kind: str, rows: List[Dict[str, str]]) -> Dict[str, Any]:
    """Returns feature name -> array with one entry a row."""
    if kind == "vector":
        return {
            "x": np.array([[_number(row, name) for name in NUMBERS] for row in rows], np.float32)
        }
    if kind == "tokens":
        return {"tokens": np.array([[row[name] for name in TOKENS] for row in rows])}
    found = {}  # type: Dict[str, Any]
    for name in NUMBERS:
        found[name] = np.array([_number(row, name) for row in rows], np.float32)
    for name in TEXTS:
        found[name] = np.array([row[name] for row in rows])
    if kind == "examples":
        found["example_id"] = np.array(["%06d" % index for index in range(len(rows))])
    return found


def labels_of(kind: Optional[str], rows: List[Dict[str, str]]) -> Any:
    """Returns labels of shape [rows, 1] ([rows, 3] for "tags"), a dict of them for "both", None for None."""
    hours = np.array([[int(row["hours-per-week"])] for row in rows])
    rich = np.array([[int(row["income"] == ">50K")] for row in rows], np.int64)
    amount = (hours / 40.0).astype(np.float32)
    if kind is None:
        return None
    return {
        "class": rich,
        "classes": (hours > 35).astype(np.int64) + (hours > 40),
        "amount": amount,
        "count": np.array([[int(row["educational-num"])] for row in rows], np.float32),
        "tags": np.concatenate([rich, (hours > 35).astype(np.int64), (hours > 40)], axis=1),
        "both": {"income": rich, "hours": amount},
    }[kind]


def _number(row: Dict[str, str], name: str) -> float:
    return int(row[name]) / _SCALES[name]


# ------------------------------------------------------------------------------------------------- columns


def _sparse(api: Api) -> List[Any]:
    fc = api.tf.feature_column
    age = fc.bucketized_column(fc.numeric_column("age"), [0.5, 0.75, 1.0, 1.25, 1.5])
    return [
        age,
        fc.categorical_column_with_vocabulary_list("workclass", _WORKCLASSES, num_oov_buckets=1),
        fc.categorical_column_with_hash_bucket("education", 12),
        fc.categorical_column_with_vocabulary_list("marital-status", _MARRIAGES),
        fc.crossed_column(["marital-status", "relationship"], 20),
    ]


def _numeric(api: Api) -> List[Any]:
    return [api.tf.feature_column.numeric_column(name) for name in NUMBERS]


def _dense(api: Api) -> List[Any]:
    fc = api.tf.feature_column
    workclass, education, marriage = _sparse(api)[1:4]
    return _numeric(api) + [
        fc.indicator_column(workclass),
        fc.indicator_column(marriage),
        fc.embedding_column(education, 3),
    ]


def _vector(api: Api) -> List[Any]:
    return [api.tf.feature_column.numeric_column("x", shape=(3,))]


def _sequence(api: Api) -> List[Any]:
    fc = api.tf.feature_column
    tokens = fc.sequence_categorical_column_with_hash_bucket("tokens", 24)
    return [fc.embedding_column(tokens, 4)]


# ------------------------------------------------------------------------- models of the V2 names


def _premade(name: str, **arguments: Any) -> Callable[[Api, Any], Any]:
    """Returns the builder of a V2 premade Estimator; arguments that are functions are called with the Api."""

    def build(api: Api, config: Any) -> Any:
        return _make(getattr(api.estimator, name), api, config, arguments)

    return build


def _premade_v1(name: str, **arguments: Any) -> Callable[[Api, Any], Any]:
    """Returns the builder of a V1 premade Estimator, as `_premade` does."""

    def build(api: Api, config: Any) -> Any:
        return _make(getattr(api.estimator_v1, name), api, config, arguments)

    return build


def _make(cls: Any, api: Api, config: Any, arguments: Dict[str, Any]) -> Any:
    values = {name: value(api) if callable(value) else value for name, value in arguments.items()}
    return cls(config=config, **values)


def _head(name: str, **arguments: Any) -> Callable[[Api], Any]:
    return lambda api: getattr(api.estimator or api.estimator_v1, name)(**arguments)


def _both_heads(api: Api) -> Any:
    names = api.estimator or api.estimator_v1
    return names.MultiHead(
        [names.BinaryClassHead(name="income"), names.RegressionHead(name="hours")], [1.0, 0.5]
    )


def _adam(api: Api) -> Any:
    return api.keras.optimizers.legacy.Adam(0.01)


def _sdca(api: Api) -> Any:
    return api.estimator.experimental.LinearSDCA("example_id", symmetric_l2_regularization=1.0)


def _rnn_classifier(api: Api, config: Any) -> Any:
    return api.estimator.experimental.RNNClassifier(
        _sequence(api), units=[6], cell_type="lstm", config=config
    )


def _rnn_estimator(api: Api, config: Any) -> Any:
    head = api.estimator.RegressionHead()
    return api.estimator.experimental.RNNEstimator(
        head, _sequence(api), units=[6], cell_type="gru", config=config
    )


def _model_fn_estimator(api: Api, config: Any) -> Any:
    """A model_fn of the V2 era: legacy Keras layers and optimizer, a V2 head."""
    tf, keras = api.tf, api.keras

    def model_fn(features: Any, labels: Any, mode: Any) -> Any:
        network = keras.Sequential(
            [keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1, name="logits")]
        )
        logits = network(features["x"], training=mode == api.estimator.ModeKeys.TRAIN)
        optimizer = keras.optimizers.legacy.Adam(0.01)
        # Keras counts into `iterations`, and Estimators stop and resume by the global step.
        optimizer.iterations = tf.compat.v1.train.get_or_create_global_step()
        return api.estimator.BinaryClassHead().create_estimator_spec(
            features,
            mode,
            logits,
            labels=labels,
            optimizer=optimizer,
            trainable_variables=network.trainable_variables,
        )

    return api.estimator.Estimator(model_fn, config=config)


def _keras_estimator(api: Api, config: Any) -> Any:
    keras = api.keras
    keras.utils.set_random_seed(config.tf_random_seed)
    x = keras.Input((3,), name="x")
    # Without a bias: in front of a batch normalisation its gradient is 0 but for rounding, which Adam would blow up.
    hidden = keras.layers.Dense(8, use_bias=False)(x)
    hidden = keras.layers.ReLU()(keras.layers.BatchNormalization()(hidden))
    output = keras.layers.Dense(1, activation="sigmoid", name="probability")(hidden)
    model = keras.Model({"x": x}, output)
    model.compile(optimizer=_adam(api), loss="binary_crossentropy", metrics=["accuracy", "AUC"])
    return api.model_to_estimator(keras_model=model, config=config)


# ------------------------------------------------------------------------- models of the V1 names


def _model_fn_v1(api: Api, config: Any) -> Any:
    """A model_fn as TensorFlow 1 programs have it: input_layer, get_variable, a V1 optimizer, metrics by hand."""
    tf1, names = api.tf.compat.v1, api.estimator_v1

    def model_fn(features: Any, labels: Any, mode: Any) -> Any:
        dense = tf1.feature_column.input_layer(features, _dense(api))
        with tf1.variable_scope("hidden"):
            kernel = tf1.get_variable(
                "kernel", [dense.shape[1], 8], initializer=tf1.glorot_uniform_initializer()
            )
            bias = tf1.get_variable("bias", [8], initializer=tf1.zeros_initializer())
            hidden = tf1.nn.relu(tf1.matmul(dense, kernel) + bias)
        with tf1.variable_scope("logits"):
            kernel = tf1.get_variable(
                "kernel", [8, 1], initializer=tf1.glorot_uniform_initializer()
            )
            logits = tf1.matmul(hidden, kernel)
        probability = tf1.sigmoid(logits, name="probability")
        if mode == names.ModeKeys.PREDICT:
            predictions = {"logits": logits, "probability": probability}
            outputs = {"serving_default": names.export.PredictOutput(predictions)}
            return names.EstimatorSpec(mode, predictions=predictions, export_outputs=outputs)
        loss = tf1.losses.sigmoid_cross_entropy(labels, logits)
        metrics = {
            "accuracy": tf1.metrics.accuracy(labels, tf1.cast(probability > 0.5, tf1.int64)),
            "auc": tf1.metrics.auc(labels, probability),
        }
        step = tf1.train.get_or_create_global_step()
        train_op = tf1.train.AdamOptimizer(0.01).minimize(loss, global_step=step)
        return names.EstimatorSpec(mode, loss=loss, train_op=train_op, eval_metric_ops=metrics)

    return names.Estimator(model_fn, config=config)


def _kmeans(api: Api, config: Any) -> Any:
    clusters = np.array([[0.5, 0.5, 0.0], [1.0, 1.0, 0.0], [1.5, 1.5, 1.0]], np.float32)
    return api.estimator_v1.experimental.KMeans(
        3, initial_clusters=clusters, use_mini_batch=False, config=config
    )


_LINEAR_AND_DENSE = {
    "linear_feature_columns": _sparse,
    "dnn_feature_columns": _dense,
    "dnn_hidden_units": (8, 4),
}
_COLUMNS_AND_UNITS = {"feature_columns": _dense, "hidden_units": (8, 4)}

_CANCELLING = (
    "gradients around a batch normalisation nearly cancel, so what rounding leaves in Adam's moments is larger "
    "against them"
)

CASES = (
    Case("baseline_classifier", _premade("BaselineClassifier"), "vector", "class"),
    Case("baseline_regressor", _premade("BaselineRegressor"), "vector", "amount"),
    Case(
        "baseline_estimator",
        _premade("BaselineEstimator", head=_head("MultiClassHead", n_classes=3)),
        "vector",
        "classes",
    ),
    Case(
        "linear_classifier",
        _premade("LinearClassifier", feature_columns=_sparse),
        "columns",
        "class",
    ),
    Case(
        "linear_regressor",
        _premade("LinearRegressor", feature_columns=lambda api: _sparse(api) + _numeric(api)),
        "columns",
        "amount",
    ),
    Case(
        "linear_estimator",
        _premade("LinearEstimator", head=_head("PoissonRegressionHead"), feature_columns=_sparse),
        "columns",
        "count",
    ),
    Case(
        "linear_sdca",
        _premade("LinearClassifier", feature_columns=_sparse, optimizer=_sdca),
        "examples",
        "class",
    ),
    Case("dnn_classifier", _premade("DNNClassifier", **_COLUMNS_AND_UNITS), "columns", "class"),
    Case(
        "dnn_regressor",
        _premade("DNNRegressor", optimizer=_adam, batch_norm=True, **_COLUMNS_AND_UNITS),
        "columns",
        "amount",
    ),
    Case(
        "dnn_estimator",
        _premade("DNNEstimator", head=_head("MultiLabelHead", n_classes=3), **_COLUMNS_AND_UNITS),
        "columns",
        "tags",
    ),
    Case(
        "dnn_linear_combined_classifier",
        _premade("DNNLinearCombinedClassifier", **_LINEAR_AND_DENSE),
        "columns",
        "class",
    ),
    Case(
        "dnn_linear_combined_regressor",
        _premade("DNNLinearCombinedRegressor", **_LINEAR_AND_DENSE),
        "columns",
        "amount",
    ),
    Case(
        "dnn_linear_combined_estimator",
        _premade("DNNLinearCombinedEstimator", head=_both_heads, **_LINEAR_AND_DENSE),
        "columns",
        "both",
    ),
    Case("rnn_classifier", _rnn_classifier, "tokens", "class"),
    Case("rnn_estimator", _rnn_estimator, "tokens", "amount"),
    Case("model_fn", _model_fn_estimator, "vector", "class"),
    Case(
        "keras_model",
        _keras_estimator,
        "vector",
        "class",
        limit=1e-5,
        why=_CANCELLING,
    ),
    Case("v1_baseline_classifier", _premade_v1("BaselineClassifier"), "vector", "class", True),
    Case("v1_baseline_regressor", _premade_v1("BaselineRegressor"), "vector", "amount", True),
    Case(
        "v1_linear_classifier",
        _premade_v1("LinearClassifier", feature_columns=_sparse),
        "columns",
        "class",
        True,
    ),
    Case(
        "v1_linear_regressor",
        _premade_v1("LinearRegressor", feature_columns=_sparse),
        "columns",
        "amount",
        True,
    ),
    Case(
        "v1_dnn_classifier",
        _premade_v1("DNNClassifier", n_classes=3, **_COLUMNS_AND_UNITS),
        "columns",
        "classes",
        True,
    ),
    Case(
        "v1_dnn_regressor",
        _premade_v1("DNNRegressor", optimizer="Adam", batch_norm=True, **_COLUMNS_AND_UNITS),
        "columns",
        "amount",
        True,
        limit=1e-5,
        why=_CANCELLING,
    ),
    Case(
        "v1_dnn_linear_combined_classifier",
        _premade_v1("DNNLinearCombinedClassifier", **_LINEAR_AND_DENSE),
        "columns",
        "class",
        True,
    ),
    Case(
        "v1_dnn_linear_combined_regressor",
        _premade_v1("DNNLinearCombinedRegressor", **_LINEAR_AND_DENSE),
        "columns",
        "amount",
        True,
    ),
    Case("v1_kmeans", _kmeans, "vector", None, True),
    Case("v1_model_fn", _model_fn_v1, "columns", "class", True),
)


def find(name: str) -> Case:
    """Returns the case of that name.

    Raises:
      KeyError: there is none.
    """
    return {case.name: case for case in CASES}[name]
