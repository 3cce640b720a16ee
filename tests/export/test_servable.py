"""A loaded version: what it answers, and the sentences with which it refuses."""

from concurrent import futures
import contextlib
import gc
import os
import subprocess
import sys
import weakref

import numpy as np
import pytest
import tensorflow as tf

from export import checks, errors, servable
from tests import saved_models

_ROWS = saved_models.serialized((1.0, 2.0), (-4.0, 1.0), (0.0, 0.0))
_LOGITS = np.float32([5.0, -2.0, 0.0])


def _refusal(call, *args, **kwargs):
    with pytest.raises(errors.ServableError) as caught:
        call(*args, **kwargs)
    return caught.value.code.name, caught.value.message


def test_predict_gives_every_output(examples_model):
    answer = examples_model.predict({"examples": np.array(_ROWS, object)})
    assert sorted(answer) == ["label", "logits", "probabilities"]
    np.testing.assert_allclose(answer["logits"][:, 0], _LOGITS)
    np.testing.assert_allclose(answer["probabilities"].sum(axis=1), np.ones(3), rtol=1e-6)
    assert answer["label"].tolist() == [b"yes", b"no", b"no"]


def test_filter_computes_only_what_it_names(plain_model):
    ones = np.ones([2], np.float32)
    answer = plain_model.predict({"a": ones, "b": ones}, "sum", ["difference"])
    assert list(answer) == ["difference"]
    np.testing.assert_array_equal(answer["difference"], [0.0, 0.0])


@pytest.mark.parametrize("shape", [(3, 1), (3,), (), (0, 1), (2, 3, 4)])
def test_declared_shape_is_not_compared(plain_model, shape):
    answer = plain_model.predict({"x": np.ones(shape, np.float32)})["y"]
    assert answer.shape == shape and answer.dtype == np.float32
    np.testing.assert_array_equal(answer, np.full(shape, 2.0))


def test_every_dtype_comes_back(plain_model):
    inputs = {
        "float64": np.array([[1.5, -2.5]]),
        "int8": np.array([-128, 127], np.int8),
        "int32": np.array(7, np.int32),
        "int64": np.array([2**62], np.int64),
        "bool": np.array([True, False]),
        "string": np.array([[b"\xff\x00", "ü".encode()]], object),
        "float16": np.array([0.5], np.float16),
        "uint64": np.array([2**64 - 1], np.uint64),
    }
    answer = plain_model.predict(inputs, "types")
    for name, value in inputs.items():
        np.testing.assert_array_equal(answer[name], value)
        assert answer[name].dtype == value.dtype and answer[name].shape == value.shape


def test_scalar_string_comes_back_as_an_array(plain_model):
    signature = plain_model.signatures["types"]
    inputs = {
        name: np.zeros([], tf.dtypes.as_dtype(spec.dtype).as_numpy_dtype)
        for name, spec in signature.inputs.items()
    }
    inputs["string"] = np.array(b"a\0", object)
    answer = plain_model.predict(inputs, "types", ["string"])["string"]
    assert answer.shape == () and answer.item() == b"a\0"


def test_default_of_the_signature_stands_in(plain_model):
    answer = plain_model.predict({"a": np.float32([1.0])}, "with_default")
    np.testing.assert_array_equal(answer["sum"], [11.0])
    answer = plain_model.predict({"a": np.float32([1]), "b": np.float32([2])}, "with_default")
    np.testing.assert_array_equal(answer["sum"], [3.0])


def test_module_with_variable_and_table(tmp_path):
    path = saved_models.write_module(tmp_path)
    with contextlib.closing(servable.Servable(str(path))) as model:
        answer = model.predict({"word": np.array([b"two", b"three"], object)})
    np.testing.assert_array_equal(answer["number"], [102, 99])


_X = np.ones([1, 1], np.float32)
_REFUSED_PREDICTIONS = {
    "signature": (
        ({"x": _X}, "other"),
        "FAILED_PRECONDITION",
        'Serving signature key "other" not found.',
    ),
    "too many inputs": (
        ({"x": _X, "z": _X},),
        "INVALID_ARGUMENT",
        "input size does not match signature: 2!=1 len({x,z}) != len({x}). "
        "Sent extra: {z}. Missing but required: {}.",
    ),
    "too few inputs": (
        ({}, "sum"),
        "INVALID_ARGUMENT",
        "input size does not match signature: 0!=2 len({}) != len({a,b}). "
        "Sent extra: {}. Missing but required: {a,b}.",
    ),
    "wrong name": (
        ({"y": _X},),
        "INVALID_ARGUMENT",
        "Signature input alias: x(feed name: x:0) not found in request and no default value "
        "provided. Inputs expected to be in the request {y}, or default input alias set: ",
    ),
    "missing beside a default": (
        ({"b": _X}, "with_default"),
        "INVALID_ARGUMENT",
        "Signature input alias: a(feed name: a:0) not found in request and no default value "
        "provided. Inputs expected to be in the request {b}, or default input alias set: b",
    ),
    "extra beside a default": (
        ({"a": _X, "c": _X}, "with_default"),
        "INVALID_ARGUMENT",
        "Inputs contains invalid name. Used request inputs: a, request input: a,c",
    ),
    "unknown output": (
        ({"a": _X, "b": _X}, "sum", ["product"]),
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: product "
        "Outputs expected to be in the set {difference,sum}.",
    ),
    "repeated output": (
        ({"a": _X, "b": _X}, "sum", ["sum", "sum"]),
        "INVALID_ARGUMENT",
        "duplicate output tensor alias: sum",
    ),
    "dtype": (
        ({"x": np.ones([1, 1])},),
        "INVALID_ARGUMENT",
        "Expects arg[0] to be float but double is provided",
    ),
}


@pytest.mark.parametrize("case", _REFUSED_PREDICTIONS)
def test_refused_prediction(plain_model, case):
    args, code, message = _REFUSED_PREDICTIONS[case]
    assert _refusal(plain_model.predict, *args) == (code, message)


def test_shape_is_refused_by_the_operation(plain_model):
    inputs = {"a": np.ones([2, 4], np.float32), "b": np.ones([3, 2], np.float32)}
    code, message = _refusal(plain_model.predict, inputs, "product")
    assert code == "INVALID_ARGUMENT"
    assert message.startswith("Matrix size-incompatible: In[0]: [2,4], In[1]: [3,2]")
    assert message.endswith("\n\t [[{{node MatMul}}]]")


def test_bytes_that_are_no_example(examples_model):
    code, message = _refusal(examples_model.predict, {"examples": np.array([b"nonsense"], object)})
    assert code == "INVALID_ARGUMENT"
    assert message.startswith("Could not parse example input, value: 'nonsense'\n\t [[{{node ")


def test_bytes_that_are_no_text_are_quoted_as_they_are(examples_model):
    code, message = _refusal(examples_model.predict, {"examples": np.array([b"\xff!"], object)})
    assert code == "INVALID_ARGUMENT"
    assert message.encode("utf-8", "surrogateescape").startswith(
        b"Could not parse example input, value: '\xff!'\n\t [[{{node "
    )


def test_example_without_a_required_feature(examples_model):
    code, message = _refusal(examples_model.classify, [b""], "classification")
    assert code == "INVALID_ARGUMENT"
    assert message.startswith(
        "Name: <unknown>, Feature: x (data type: float) is required but could not be found.\n"
        "\t [[{{node "
    )


def test_run_is_stopped_at_its_time_limit(plain_model):
    inputs = {"n": np.array(10**12, np.int64)}
    refusal = _refusal(plain_model.predict, inputs, "slow", timeout_ms=50)
    assert refusal == ("DEADLINE_EXCEEDED", "Timed out waiting for notification")


def test_run_within_its_time_limit(plain_model):
    answer = plain_model.predict({"n": np.array(5, np.int64)}, "slow", timeout_ms=60000)
    assert answer["steps"] == 5


def test_a_run_whose_time_is_a_value_keeps_its_time_limit(plain_model):
    short = {"n": np.array(5, np.int64)}
    for _ in range(10):
        plain_model.predict(short, "random")
    inputs = {"n": np.array(2 * 10**7, np.int64)}
    refusal = _refusal(plain_model.predict, inputs, "random", timeout_ms=50)
    assert refusal == ("DEADLINE_EXCEEDED", "Timed out waiting for notification")


def test_a_loop_of_another_signature_does_not_count(plain_model, monkeypatch):
    kept = []
    monkeypatch.setattr(plain_model._small_runs, "add", lambda key, secs: kept.append(key))
    plain_model.predict({"n": np.array(5, np.int64)}, "slow")
    assert not kept
    plain_model.predict({"x": np.ones([1, 7], np.float32)})
    assert [key[1:] for key in kept] == [((np.dtype(np.float32), (1, 7)),)]


def test_classify_gives_labels_and_scores(examples_model):
    labels, scores = examples_model.classify(_ROWS, "classification")
    assert labels.tolist() == [[b"no", b"yes"]] * 3
    np.testing.assert_allclose(scores[:, 1], 1 / (1 + np.exp(-_LOGITS)), rtol=1e-6)
    assert scores.dtype == np.float32


def test_classify_with_one_half(examples_model):
    labels, scores = examples_model.classify(_ROWS, "only_classes")
    assert labels.shape == (3, 2) and scores is None
    labels, scores = examples_model.classify(_ROWS, "only_scores")
    assert labels is None and scores.shape == (3, 2)


@pytest.mark.parametrize("name", ["regression", "flat_regression"])
def test_regress_gives_one_number_a_row(examples_model, name):
    values = examples_model.regress(_ROWS, name)
    assert values.shape == (3,) and values.dtype == np.float32
    np.testing.assert_allclose(values, _LOGITS)


_REFUSED_CLASSIFICATIONS = {
    "nothing": "No signature was found with the name: nothing",
    "two_inputs": "Expected one input Tensor.",
    "three_outputs": "Expected one or two output Tensors, found 3",
    "input_key": "No classification inputs found in SignatureDef: *",
    "no_class_key": "Expected classification signature outputs to contain at least one of "
    '"classes" or "scores". Signature was: *',
    "flat_classes": "Expected Tensor shape: [batch_size num_classes] but got [3]",
    "flat_scores": "Expected Tensor shape: [batch_size num_classes] but got [3]",
    "float_classes": "Expected classes Tensor of DT_STRING. Got: DT_FLOAT",
    "double_scores": "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE",
    "more_classes": "Expected classes output batch size of 3. Got: 6",
    "more_scores": "Expected scores output batch size of 3. Got: 6",
    "wide_scores": "Tensors class and score should match in dim_size(1). Got 2 vs. 4",
}
_REFUSED_REGRESSIONS = {
    "nothing": "No signature was found with the name: nothing",
    "two_inputs": "Expected one input Tensor.",
    "two_outputs": "Expected one output Tensor.",
    "only_scores": "No regression outputs found in SignatureDef: *",
    "output_key": "No regression outputs found in SignatureDef: *",
    "wide_outputs": "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
    "but got [3,2]",
    "more_outputs": "Input batch size did not match output batch size: 3 vs. 6",
    "double_outputs": "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE",
}


def _agrees(message, pattern):
    """Equal, but for what a final `*` stands for."""
    return message.startswith(pattern[:-1]) if pattern.endswith("*") else message == pattern


@pytest.mark.parametrize("name", _REFUSED_CLASSIFICATIONS)
def test_refused_classification(examples_model, name):
    code, message = _refusal(examples_model.classify, _ROWS, name)
    assert code == "INVALID_ARGUMENT"
    assert _agrees(message, _REFUSED_CLASSIFICATIONS[name]), message


@pytest.mark.parametrize("name", _REFUSED_REGRESSIONS)
def test_refused_regression(examples_model, name):
    code, message = _refusal(examples_model.regress, _ROWS, name)
    assert code == "INVALID_ARGUMENT"
    assert _agrees(message, _REFUSED_REGRESSIONS[name]), message


def test_regression_input_has_its_own_sentence(examples_model):
    # `serving_default` has one input, called `examples`, but three outputs.
    assert _refusal(examples_model.regress, _ROWS)[1] == "Expected one output Tensor."


def test_no_examples(examples_model):
    expected = ("INVALID_ARGUMENT", "Input is empty.")
    assert _refusal(examples_model.classify, [], "classification") == expected
    assert _refusal(examples_model.regress, [], "regression") == expected


def test_signature_is_checked_before_the_examples(examples_model):
    assert _refusal(examples_model.classify, [], "two_inputs")[1] == "Expected one input Tensor."


def test_metadata_has_every_signature(plain_model):
    definitions = plain_model.signature_def_map_bytes
    assert sorted(definitions) == sorted(plain_model.signatures)
    meta_graph = tf.compat.v1.MetaGraphDef()
    parsed = type(meta_graph.signature_def["x"]).FromString(definitions["sum"])
    assert sorted(parsed.inputs) == ["a", "b"]


def test_many_threads_get_their_own_answers(plain_model):
    def ask(number):
        return plain_model.predict({"x": np.float32([[number]])})["y"].item()

    with futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(200))) == [2.0 * number for number in range(200)]


def test_load_without_variables_names_them(examples_path, tmp_path):
    copy = tmp_path / "1"
    copy.mkdir()
    (copy / "saved_model.pb").write_bytes((examples_path / "saved_model.pb").read_bytes())
    code, message = _refusal(servable.Servable, str(copy))
    assert code == "NOT_FOUND"
    assert f"{copy}/variables" in message


def test_closing_twice_does_no_harm(plain_path):
    model = servable.Servable(str(plain_path))
    model.close()
    model.close()


def test_freed_model_leaves_no_graph_to_the_garbage_collector(plain_path):
    model = servable.Servable(str(plain_path))
    model.predict({"x": np.float32([[1.0]])})
    session = weakref.ref(model._session)
    graph = weakref.ref(model._session.graph)
    gc.collect()
    gc.disable()
    try:
        model.close()
        model.free()
        assert session() is None and graph() is None
    finally:
        gc.enable()


def test_a_load_that_fails_leaves_no_graph_to_the_garbage_collector(plain_path):
    graphs = []

    def refuse(path, run):
        graphs.append(weakref.ref(run.__self__._session.graph))
        raise errors.invalid_argument("Not this one.")

    gc.collect()
    gc.disable()
    try:
        refusal = _refusal(servable.Servable, str(plain_path), wrap_run=refuse)
        assert refusal == ("INVALID_ARGUMENT", "Not this one.")
        assert graphs[0]() is None
    finally:
        gc.enable()


def test_needs_neither_estimators_nor_legacy_keras(plain_path):
    program = (
        "import sys\n"
        "from export import servable\n"
        "import numpy as np\n"
        "model = servable.Servable(sys.argv[1])\n"
        "print(model.predict({'x': np.float32([[3]])})['y'])\n"
        "wrong = {'tensorflow_estimator', 'tf_keras', 'grpc'}\n"
        "print(sorted(wrong & set(sys.modules)))\n"
    )
    # TensorFlow itself imports the legacy Keras that this switch asks for.
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    command = [sys.executable, "-c", program, str(plain_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines() == ["[[6.]]", "[]"], done.stderr


@pytest.fixture(scope="module")
def strict_model(examples_path):
    with contextlib.closing(
        servable.Servable(str(examples_path), check_method_names=True)
    ) as model:
        yield model


def test_checked_methods_answer_what_they_name(strict_model):
    labels, _ = strict_model.classify(_ROWS, "classification")
    assert labels[0].tolist() == [b"no", b"yes"]
    assert strict_model.regress(_ROWS, "regression").shape == (len(_ROWS),)
    assert strict_model.predict({"inputs": np.array(_ROWS, object)}, "regression")["outputs"].size
    tasks = [
        checks.Task("m", "classification", checks.CLASSIFY_METHOD),
        checks.Task("m", "regression", checks.REGRESS_METHOD),
    ]
    (labels, _), values = strict_model.multi_inference(_ROWS, tasks)
    assert (len(labels), len(values)) == (len(_ROWS), len(_ROWS))


def test_checked_methods_refuse_the_others(strict_model):
    classify = "Expected classification signature method_name to be tensorflow/serving/classify. "
    regress = "Expected regression signature method_name to be tensorflow/serving/regress. "
    assert _refusal(strict_model.classify, _ROWS, "regression") == (
        "INVALID_ARGUMENT",
        f"{classify}Was: tensorflow/serving/regress",
    )
    assert _refusal(strict_model.regress, _ROWS, "") == (
        "INVALID_ARGUMENT",
        f"{regress}Was: tensorflow/serving/predict",
    )
    # The method is looked at before the number of inputs.
    task = checks.Task("m", "two_inputs", checks.REGRESS_METHOD)
    assert _refusal(strict_model.multi_inference, _ROWS, [task]) == (
        "INVALID_ARGUMENT",
        f"{regress}Was: tensorflow/serving/classify",
    )


def test_a_checked_method_that_serving_does_not_know(tmp_path):
    path = saved_models.write_module(tmp_path)
    with contextlib.closing(servable.Servable(str(path), check_method_names=True)) as model:
        assert _refusal(model.predict, {}, "__saved_model_init_op") == (
            "INTERNAL",
            "Expected prediction signature method_name to be one of {tensorflow/serving/predict, "
            "tensorflow/serving/classify, tensorflow/serving/regress}. Was: ",
        )
