"""Which notices are left out and which stay, read from what processes write on standard error."""

import os
import re
import subprocess
import sys
import textwrap

import pytest

# A notice as TensorFlow's logger and Python's `warnings` write it; what they say under it stands on further lines.
NOTICE = re.compile(
    r"^WARNING:tensorflow:From .* is deprecated"
    r"|^\S+: (?:User|Deprecation)Warning: .*(?:deprecated|will be removed)",
    re.M,
)
COUNTED = (
    r"(\d+) deprecation notices of TensorFlow's about its own Estimator and Keras code left out; "
)

SCRIPT = """
    import sys, warnings
    from estimator_app import compat
    import tensorflow as tf

    if sys.argv[1:]:
        compat.quiet()
        compat.quiet()
    # Once absl has logged a line, Python's root logger writes what TensorFlow's has written a second time.
    tf.get_logger().propagate = False
    column = tf.feature_column.numeric_column("x")

    def input_fn():
        rows = {"x": [1.0, 2.0, 3.0, 4.0]}, [0, 1, 0, 1]
        return tf.data.Dataset.from_tensor_slices(rows).batch(4)

    classifier = compat.estimator.DNNClassifier([4], [column])
    classifier.train(input_fn).evaluate(input_fn)

    keras = compat.keras
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(1,))])
    model.compile(keras.optimizers.legacy.SGD(), "mse")
    compat.model_to_estimator(model).train(lambda: tf.data.Dataset.from_tensors(([[1.0]], [[1.0]])))

    tf.compat.v1.to_int32(1.0)
    with tf.Graph().as_default():
        tf.compat.v1.saved_model.build_tensor_info(tf.zeros([1]))
        tf.compat.v1.layers.dense(tf.zeros([1, 1]), 1)
    with warnings.catch_warnings(record=True) as recorded:
        warnings.simplefilter("always")
        warnings.warn_explicit("old is deprecated", UserWarning, keras.__file__, 1)
    print("recorded", *[str(w.message) for w in recorded], sep=": ")
    warnings.warn("mine is deprecated", DeprecationWarning)
    tf.get_logger().warning("mine will be removed and is deprecated")
    tf.get_logger().error("mine failed")
"""


def run(*command):
    """Runs a command to its end; returns the finished process."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("user") / "script.py"
    path.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def loud(script):
    return run(sys.executable, str(script)).stderr


@pytest.fixture(scope="module")
def quiet_run(script):
    return run(sys.executable, str(script), "quiet")


@pytest.fixture(scope="module")
def quiet(quiet_run):
    return quiet_run.stderr


def test_without_it_every_notice_is_shown_and_none_counted(loud):
    assert len(NOTICE.findall(loud)) > 20
    assert re.search("tf_keras|keras/src", loud) and "tensorflow_estimator" in loud
    assert "left out" not in loud


def test_one_line_at_the_end_stands_for_the_notices_left_out(loud, quiet):
    counted = re.fullmatch(
        COUNTED + r"leaving out compat\.quiet\(\) shows them", quiet.splitlines()[-1]
    )
    assert counted, quiet
    missing = len(NOTICE.findall(loud)) - len(NOTICE.findall(quiet))
    assert int(counted[1]) == missing
    for package in ("tensorflow_estimator", "tf_keras", "keras/src"):
        assert package not in quiet


def test_warnings_recorded_by_python_itself_are_all_there_and_not_counted(quiet_run):
    # Not counted, because the line at the end counts what the loud script has written, and this is not in there.
    assert "recorded: old is deprecated\n" in quiet_run.stdout


@pytest.mark.parametrize(
    "stays",
    [
        r"^WARNING:tensorflow:Using temporary folder as model directory: ",
        r"^WARNING:tensorflow:From .*: to_int32 \(from tensorflow\.python\.ops\.math_ops\) is deprecated",
        r"^WARNING:tensorflow:From .*script\.py:\d+: build_tensor_info \(from tensorflow\..*\) is deprecated",
        r"^\S*script\.py:\d+: UserWarning: `tf\.layers\.dense` is deprecated",
        r"^\S*script\.py:\d+: DeprecationWarning: mine is deprecated",
        r"^WARNING:tensorflow:mine will be removed and is deprecated",
        r"^ERROR:tensorflow:mine failed",
    ],
)
def test_errors_warnings_and_notices_of_the_users_own_calls_stay(loud, quiet, stays):
    assert len(re.findall(stays, quiet, re.M)) == len(re.findall(stays, loud, re.M)) > 0
