"""Names that newer TensorFlow lacks are there after `compat.install()`, as on 2.15, or refused by a sentence."""

import pytest
import tensorflow as tf

from estimator_app import compat
from estimator_app.compat import input_checkpoint, missing_names, versions, views

OWN = versions.has_own_estimator(tf.__version__)
after_2_15 = pytest.mark.skipif(OWN, reason="install changes nothing on TensorFlow 2.15")


def _owners(entry):
    return [
        (view, views.below(view, entry.path))
        for view, kind in views.loaded()
        if kind in entry.kinds
    ]


@pytest.mark.parametrize("entry", missing_names.SUPPLIED, ids=lambda e: f"{e.path}.{e.name}")
def test_supplied_name_is_on_every_view_that_has_it_on_2_15(installed, entry):
    if OWN and entry.since == "never there":
        pytest.skip("TensorFlow 2.15 has it in tf.data.experimental only")
    for view, owner in _owners(entry):
        assert callable(getattr(owner, entry.name)), view.__name__


@after_2_15
@pytest.mark.parametrize("entry", missing_names.SUPPLIED, ids=lambda e: f"{e.path}.{e.name}")
def test_supplied_name_is_missing_without_install(entry):
    compat.uninstall()
    for view, owner in _owners(entry):
        assert not hasattr(owner, entry.name), view.__name__


@after_2_15
def test_supplied_hook_is_ours(installed):
    hook = input_checkpoint.CheckpointInputPipelineHook
    assert tf.data.experimental.CheckpointInputPipelineHook is hook
    assert tf.compat.v1.data.experimental.CheckpointInputPipelineHook is hook
    assert tf.train.CheckpointInputPipelineHook is hook


@after_2_15
@pytest.mark.parametrize(
    "name", ["BoostedTreesClassifier", "BoostedTreesRegressor", "BoostedTreesEstimator"]
)
def test_refused_estimator_names_what_took_it_away_and_what_to_use(installed, name):
    import tensorflow_estimator as tfe

    for module in (tf.estimator, tf.compat.v1.estimator, tfe.estimator):
        with pytest.raises(missing_names.RemovedNameError) as error:
            getattr(module, name)
        assert f"found tf.estimator.{name}, which tensorflow-estimator 2.9 took away." in str(
            error.value
        )
        assert "Train boosted trees with --model=boosted_trees of estimator-train" in str(
            error.value
        )
        assert error.value.name == name


@after_2_15
def test_refused_name_of_tensorflow(installed):
    for module in (tf, tf.compat.v1, tf.compat.v2):
        with pytest.raises(
            AttributeError, match="found tf.contrib, which TensorFlow 2.0 took away"
        ):
            module.contrib


@after_2_15
def test_refused_names_look_absent_to_code_that_asks(installed):
    assert not hasattr(tf, "contrib")
    assert getattr(tf.estimator, "BoostedTreesClassifier", None) is None
    assert "BoostedTreesClassifier" not in dir(tf.estimator) and "contrib" not in dir(tf)


@after_2_15
@pytest.mark.parametrize("module", ["tf", "tf.compat.v1", "tf.estimator", "tf.compat.v1.estimator"])
def test_any_other_name_fails_as_before(installed, module):
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'") as error:
        eval(module, {"tf": tf}).no_such_name
    assert not isinstance(error.value, missing_names.RemovedNameError)


# What Estimator code uses of TensorFlow, by itself, by legacy Keras or by the patches.
USED = """
    feature_column.input_layer feature_column.linear_model feature_column.make_parse_example_spec
    feature_column.shared_embedding_columns train.SessionRunHook train.CheckpointSaverHook train.NanTensorHook
    train.StopAtStepHook train.LoggingTensorHook train.ProfilerHook train.SummarySaverHook train.FeedFnHook
    train.FinalOpsHook train.GlobalStepWaiterHook train.StepCounterHook train.MonitoredTrainingSession train.Scaffold
    train.SecondOrStepTimer train.CheckpointSaverListener train.create_global_step train.get_or_create_global_step
    train.Saver train.AdagradOptimizer train.FtrlOptimizer train.warm_start layers.dense layers.conv2d
    layers.batch_normalization layers.dropout layers.flatten nn.rnn_cell.LSTMCell nn.dynamic_rnn losses.get_total_loss
    losses.sparse_softmax_cross_entropy metrics.accuracy metrics.auc metrics.mean data.make_initializable_iterator
    data.make_one_shot_iterator data.experimental.make_saveable_from_iterator summary.scalar saved_model.simple_save
    saved_model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY keras.estimator.model_to_estimator
    estimator.experimental.KMeans estimator.experimental.make_early_stopping_hook estimator.inputs.numpy_input_fn
    estimator.tpu.TPUEstimator estimator.experimental.LinearSDCA logging.set_verbosity app.run flags.DEFINE_string
    tpu.experimental.AdagradParameters tpu.experimental.AdamParameters tpu.experimental.FtrlParameters
    tpu.experimental.StochasticGradientDescentParameters gfile.GFile placeholder get_variable variable_scope py_func
    tables_initializer
"""


@pytest.mark.parametrize("name", USED.split())
def test_names_of_estimator_code_under_compat_v1(installed, name):
    for view, kind in views.loaded():
        if kind == views.V1:
            value = view
            for part in name.split("."):
                value = getattr(value, part)


@pytest.mark.filterwarnings("ignore:`tf.layers.dense` is deprecated:UserWarning")
def test_v1_layers_and_feature_columns_work_in_a_graph(installed):
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        column = v1.feature_column.numeric_column("x")
        inputs = v1.feature_column.input_layer({"x": tf.constant([[1.0], [2.0]])}, [column])
        outputs = v1.layers.dense(inputs, 1, kernel_initializer=v1.initializers.ones())
        session.run(v1.global_variables_initializer())
        assert session.run(outputs).tolist() == [[1.0], [2.0]]
