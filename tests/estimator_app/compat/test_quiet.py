"""Which notices are left out and which stay, read from what processes write on standard error."""

import os
import re
import subprocess
import sys
import textwrap

import pytest

from tests import running, saved_models

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
    warnings.warn("mine is deprecated", DeprecationWarning)
    tf.get_logger().warning("mine will be removed and is deprecated")
    tf.get_logger().error("mine failed")
"""


def own_environment():
    """Returns the environment without what the tests themselves set to have quiet logs."""
    return {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}


def errors_of(*command, code=0, **environment):
    """Runs a command to its end, which must be `code`; returns what it wrote on standard error."""
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env=own_environment() | environment
    )
    assert result.returncode == code, result.stderr
    return result.stderr


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("user") / "script.py"
    path.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def loud(script):
    return errors_of(sys.executable, str(script), TF_CPP_MIN_LOG_LEVEL="3")


@pytest.fixture(scope="module")
def quiet(script):
    return errors_of(sys.executable, str(script), "quiet", TF_CPP_MIN_LOG_LEVEL="3")


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


def test_warnings_recorded_by_python_itself_are_all_there():
    program = """
        import warnings
        from estimator_app import compat
        compat.quiet()
        with warnings.catch_warnings(record=True) as recorded:
            warnings.simplefilter("always")
            warnings.warn_explicit("old is deprecated", UserWarning, compat.keras.__file__, 1)
        print(len(recorded))
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == "1\n", result.stderr
    assert "left out" not in result.stderr


def train(census, directory, *flags, code=0):
    """Returns what `estimator-train` writes on standard error in a small job."""
    return errors_of(
        *(sys.executable, "-m", "estimator_app.main"),
        f"--train_data={census.train}",
        f"--eval_data={census.eval}",
        "--label_column=income",
        "--model=baseline",
        "--max_steps=10",
        f"--model_dir={directory}",
        *flags,
        code=code,
    )


# In 2.18 to 2.20 these two are under no log level that Python can set, and come with the first session.
_NATIVE = (
    r"|WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR"
    r"|I0000 .* MLIR V1 optimization pass is not enabled"
)

# All that a job may write, where nothing is wrong.
OF_A_JOB = re.compile(
    r"Loading TensorFlow \.\.\."
    r"|600 training rows, 200 evaluation rows, 14 features"
    r"|evaluated at step 10: .*"
    r"|step 10/10, .*" + _NATIVE
)


def test_a_job_says_what_is_ours_and_one_line_about_the_notices(census, tmp_path):
    *lines, last = train(census, tmp_path).splitlines()
    assert [line for line in lines if not OF_A_JOB.fullmatch(line)] == []
    assert re.fullmatch(COUNTED + r"--tf_verbosity=info shows them", last), last


def test_errors_alone_leave_the_line_out_too(census, tmp_path):
    lines = train(census, tmp_path, "--tf_verbosity=error").splitlines()
    assert [line for line in lines if not OF_A_JOB.fullmatch(line)] == []


def test_info_shows_tensorflows_account_and_every_notice(census, tmp_path):
    said = train(census, tmp_path, "--tf_verbosity=info")
    assert re.search(r"^I.*\] loss = [\d.]+, step = 0$", said, re.M)
    assert re.search(r"^W.*\] From .* is deprecated and will be removed", said, re.M)
    assert "left out" not in said
    assert "rebuild TensorFlow with the appropriate compiler flags" not in said


def test_debug_shows_the_native_libraries_too(census, tmp_path):
    said = train(census, tmp_path, "--tf_verbosity=debug", "--schema=missing.pbtxt", code=2)
    assert "rebuild TensorFlow with the appropriate compiler flags" in said


OF_A_SERVER = re.compile(
    r"Serving default version 7: gRPC 127\.0\.0\.1:\d+|Got SIGTERM: taking no more calls\."
    r"|I\d{4} .* (?:models|server)\.py:\d+\] .*" + _NATIVE
)


def test_a_server_says_nothing_but_what_is_its_own(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    saved_models.write_plain_model(tmp_path, 7)
    with running.run_server(tmp_path) as server:
        assert server.terminate() == 0
        lines = server.log.read_text().splitlines()
    assert lines and [line for line in lines if not OF_A_SERVER.fullmatch(line)] == []
