"""A TPUEstimator with `use_tpu=False` does all that an Estimator does; with `use_tpu=True` it says what to do."""

import re

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.tpu import tpu_embedding
from tensorflow_estimator.python.estimator.tpu import tpu_estimator as wheel

from estimator_app.compat import estimator, versions

V1 = tf.compat.v1
X = np.linspace(-1, 1, 24, dtype=np.float32)[:, None]


def run_config(tmp_path, **tpu_settings):
    """Returns the configuration of a job in `tmp_path`."""
    return wheel.tpu_config.RunConfig(
        model_dir=str(tmp_path),
        save_checkpoints_steps=4,
        tpu_config=wheel.tpu_config.TPUConfig(iterations_per_loop=2, **tpu_settings),
    )


def line_input_fn(params):
    """Batches of {"x": float32 [batch, 1]} and y = 2 x, of the size that TPUEstimator asks for; endless."""
    return one_pass_input_fn(params).repeat()


def one_pass_input_fn(params):
    """The same, once through `X`."""
    rows = tf.data.Dataset.from_tensor_slices(({"x": X}, 2 * X))
    return rows.batch(params["batch_size"], drop_remainder=True)


def line_model_fn(features, labels, mode, params):
    """A line through the origin, told by TPUEstimatorSpec in each of its forms."""
    predictions = {"y": tf.matmul(features["x"], V1.get_variable("kernel", [1, 1]))}
    if mode == estimator.ModeKeys.PREDICT:
        exported = estimator.export.PredictOutput(predictions)
        return wheel.TPUEstimatorSpec(
            mode, predictions=predictions, export_outputs={"serving_default": exported}
        )
    assert features["x"].shape[0] == params["batch_size"]
    loss = V1.losses.mean_squared_error(labels, predictions["y"])
    step = V1.train.get_or_create_global_step()
    return wheel.TPUEstimatorSpec(
        mode,
        loss=loss,
        train_op=V1.train.GradientDescentOptimizer(0.5).minimize(loss, step),
        eval_metrics=(
            lambda truth, guess: {"error": V1.metrics.mean_absolute_error(truth, guess)},
            [labels, predictions["y"]],
        ),
        host_call=(lambda told: [V1.summary.scalar("told", told[0])], [loss[None]]),
    )


def line_estimator(tmp_path, **changes):
    """Returns a TPUEstimator of the line."""
    settings = {
        "use_tpu": False,
        "train_batch_size": 6,
        "eval_batch_size": 4,
        "predict_batch_size": 3,
        **changes,
    }
    return wheel.TPUEstimator(line_model_fn, config=run_config(tmp_path), **settings)


def test_trains_evaluates_predicts_and_exports_on_the_processor(tmp_path):
    line = line_estimator(tmp_path / "job")
    line.train(line_input_fn, max_steps=40)
    metrics = line.evaluate(line_input_fn, steps=6)
    assert metrics["global_step"] == 40
    assert metrics["error"] < 0.1

    answers = np.array([row["y"] for row in line.predict(one_pass_input_fn)])
    weight = line.get_variable_value("kernel")
    np.testing.assert_allclose(answers, X * weight, rtol=1e-6)

    def receiver():
        x = V1.placeholder(tf.float32, [None, 1], "x")
        return estimator.export.ServingInputReceiver({"x": x}, {"x": x})

    exported = line.export_saved_model(str(tmp_path / "export"), receiver)
    served = tf.saved_model.load(exported.decode(), tags=["serve"]).signatures["serving_default"]
    np.testing.assert_allclose(served(x=tf.constant([[3.0]]))["y"], 3 * weight, rtol=1e-6)


def test_train_and_evaluate_runs_it(tmp_path):
    line = line_estimator(tmp_path)
    metrics, _ = estimator.train_and_evaluate(
        line,
        estimator.TrainSpec(line_input_fn, max_steps=8),
        estimator.EvalSpec(line_input_fn, steps=2, throttle_secs=0),
    )
    assert metrics["global_step"] == 8


@pytest.mark.parametrize(
    "optimization",
    [
        tpu_embedding.AdagradParameters(0.1),
        tpu_embedding.AdamParameters(0.1, use_gradient_accumulation=False),
        tpu_embedding.FtrlParameters(0.1, beta=0.5, clip_gradient_max=1.0),
        tpu_embedding.StochasticGradientDescentParameters(0.1, clip_weight_min=-1.0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_embedding_columns_are_ordinary_variables_on_the_processor(tmp_path, optimization):
    words = tf.feature_column.categorical_column_with_identity("word", 5)
    column = V1.tpu.experimental.embedding_column(words, dimension=2)

    def input_fn(params):
        rows = tf.data.Dataset.from_tensors(({"word": [[1], [3]]}, [[1.0], [-1.0]])).repeat()
        return rows.unbatch().batch(params["batch_size"], drop_remainder=True)

    def model_fn(features, labels, mode, params):
        embedded = V1.feature_column.input_layer(features, [column])
        guess = tf.matmul(embedded, V1.get_variable("kernel", [2, 1]))
        loss = V1.losses.mean_squared_error(labels, guess)
        step = V1.train.get_or_create_global_step()
        train_op = V1.train.GradientDescentOptimizer(0.5).minimize(loss, step)
        return wheel.TPUEstimatorSpec(mode, loss=loss, train_op=train_op)

    per_host = wheel.tpu_config.InputPipelineConfig.PER_HOST_V2
    model = wheel.TPUEstimator(
        model_fn,
        config=run_config(tmp_path, per_host_input_for_training=per_host),
        use_tpu=False,
        train_batch_size=2,
        eval_batch_size=2,
        embedding_config_spec=wheel.EmbeddingConfigSpec([column], optimization),
    )
    before = model.train(input_fn, steps=1).evaluate(input_fn, steps=1)["loss"]
    assert model.train(input_fn, steps=20).evaluate(input_fn, steps=1)["loss"] < before
    table = model.get_variable_value("input_layer/word_embedding/embedding_weights")
    assert table.shape == (5, 2)


def test_tables_and_features_can_be_described_without_columns():
    spec = wheel.EmbeddingConfigSpec(
        feature_to_config_dict={"word": tpu_embedding.FeatureConfig("words", 4, weight_key="w")},
        table_to_config_dict={"words": tpu_embedding.TableConfig(10, 4, combiner="sum")},
    )
    table, feature = spec.table_to_config_dict["words"], spec.feature_to_config_dict["word"]
    assert (table.vocabulary_size, table.dimension, table.combiner) == (10, 4, "sum")
    assert callable(table.initializer)
    assert tuple(feature) == ("words", 4, "w")


@pytest.mark.parametrize(
    "make",
    [
        lambda: tpu_embedding.AdagradParameters(0.1, 0.0),
        lambda: tpu_embedding.AdamParameters(0.1, beta1=1.0),
        lambda: tpu_embedding.AdamParameters(0.1, lazy_adam=False, use_gradient_accumulation=False),
        lambda: tpu_embedding.FtrlParameters(0.1, learning_rate_power=0.5),
        lambda: tpu_embedding.ProximalAdagradParameters(0.1, 0.1, -1.0),
        lambda: tpu_embedding.StochasticGradientDescentParameters(
            0.1, use_gradient_accumulation=False, clip_gradient_min=-1.0
        ),
        lambda: tpu_embedding.TableConfig(0, 4),
        lambda: tpu_embedding.TableConfig(4, 4, combiner="max"),
        lambda: tpu_embedding.TableConfig(4, 4, learning_rate=0.1, learning_rate_fn=abs),
        lambda: tpu_embedding.TableConfig(4, 4, optimization_parameters="adam"),
        lambda: tpu_embedding.FeatureConfig("words", -1),
    ],
)
def test_settings_that_2_15_refuses_are_refused(make):
    with pytest.raises(ValueError):
        make()


def test_optimizers_take_the_positional_arguments_of_2_15():
    momentum = tpu_embedding.MomentumParameters(0.1, 0.9, True, False, -1.0, 1.0, 0.5, True)
    assert (momentum.momentum, momentum.use_nesterov) == (0.9, True)
    assert (momentum.use_gradient_accumulation, momentum.clip_weight_min) == (False, -1.0)
    assert (momentum.clip_weight_max, momentum.weight_decay_factor) == (1.0, 0.5)
    rms = tpu_embedding.RMSPropParameters(0.1, 0.9, 0.8, 1e-3, False)
    assert (rms.rho, rms.momentum, rms.epsilon) == (0.9, 0.8, 1e-3)
    adam = tpu_embedding.AdamParameters(0.1, 0.8, 0.99, 1e-6, True, False, True, -2.0)
    assert (adam.sum_inside_sqrt, adam.clip_weight_min) == (False, -2.0)


@pytest.fixture
def newer_tensorflow():
    if versions.has_own_estimator(tf.__version__):
        pytest.skip("TensorFlow runs Estimators on a TPU itself")


@pytest.mark.usefixtures("newer_tensorflow")
@pytest.mark.parametrize(
    "work",
    [
        lambda line, input_fn: line.train(input_fn, steps=1),
        lambda line, input_fn: line.evaluate(
            input_fn, steps=1, checkpoint_path=tf.train.latest_checkpoint(line.model_dir)
        ),
        lambda line, input_fn: next(line.predict(input_fn)),
    ],
    ids=["train", "evaluate", "predict"],
)
def test_use_tpu_is_refused_before_any_input_is_read(tmp_path, work):
    line_estimator(tmp_path).train(line_input_fn, steps=1)

    def input_fn(params):
        raise AssertionError("called")

    with pytest.raises(versions.UnsupportedTensorFlowError) as error:
        work(line_estimator(tmp_path, use_tpu=True), input_fn)
    assert re.fullmatch(
        r"Expected use_tpu=False, or TensorFlow 2\.15 for a TPU, found a TPUEstimator with use_tpu=True on TensorFlow "
        r"2\.\d+\.\S+, which no longer has what runs Estimators on a TPU\. Pass use_tpu=False to run on CPU or GPU\.",
        str(error.value),
    )


@pytest.mark.usefixtures("newer_tensorflow")
@pytest.mark.parametrize("name", ["tpu_embedding", "tpu_embedding_gradient", "session_support"])
def test_what_runs_on_a_tpu_is_absent_and_says_why(name):
    module = __import__(f"tensorflow.python.tpu.{name}", fromlist=[name])
    assert not hasattr(module, "TPUEmbedding")
    with pytest.raises(
        AttributeError, match=rf"{name}\.Anything, which left TensorFlow with 2\.16"
    ):
        getattr(module, "Anything")


def test_an_estimator_trained_without_a_tpu_evaluates_and_exports_with_use_tpu(tmp_path):
    """As natively on 2.15: nothing of this runs on a TPU."""
    line_estimator(tmp_path).train(line_input_fn, steps=1)
    line = line_estimator(tmp_path, use_tpu=True, eval_on_tpu=False)
    assert line.evaluate(line_input_fn, steps=1)["global_step"] == 1

    def receiver():
        x = V1.placeholder(tf.float32, [None, 1], "x")
        return estimator.export.ServingInputReceiver({"x": x}, {"x": x})

    exported = line.export_saved_model(str(tmp_path / "export"), receiver)
    assert tf.io.gfile.exists(f"{exported.decode()}/saved_model.pb")
