"""What TensorFlow 1.15.5 trained goes on here with the same numbers: tests/references/tf-1.15, made there.

Every V1 Estimator restores its checkpoint, predicts, evaluates and trains on as TensorFlow 1.15.5 did; its exports are
served by our model server with the same answers. The numbers differ in their last bits, because TensorFlow's kernels
have changed since (docs/compatibility.md lists them).
"""

import pathlib

import numpy as np
import pytest

from estimator_app.serving import server
from estimator_app.serving import settings as serving_settings
from scripts import stack_comparison, stack_worker
import serving_client

REFERENCES = pathlib.Path(__file__).parents[2] / "references" / "tf-1.15"
MIDDLE, LAST = 8, 16
ANSWERS = 128
CASES = sorted(path.parent.name for path in REFERENCES.glob("*/numbers.npz"))
EXPORTS = sorted(path.parents[1].name for path in REFERENCES.glob("*/export/1"))


@pytest.fixture(scope="module")
def stack():
    rows = stack_worker.stack_models.read_rows(
        str(REFERENCES / "rows.csv"), LAST * stack_worker.BATCH_SIZE
    )
    return stack_worker.Stack(stack_worker.load_api(), rows, ANSWERS)


def numbers_of(case):
    with np.load(REFERENCES / case / "numbers.npz") as arrays:
        return dict(arrays)


def assert_same(case, found, prefix):
    difference, name = stack_comparison.largest(numbers_of(case), found, prefix)
    assert difference <= limit_of(case), f"{prefix}{name} differs by {difference:.1e}"


def limit_of(case):
    return stack_worker.stack_models.find(case).limit


def test_there_is_a_reference_of_every_model_that_tensorflow_1_has():
    assert CASES == sorted(case.name for case in stack_worker.stack_models.CASES if case.on_tf1)
    assert {"v1_linear_classifier", "v1_dnn_regressor"} <= set(EXPORTS)


@pytest.mark.parametrize("case", CASES)
def test_checkpoint_predicts_and_evaluates_as_in_tensorflow_1(stack, tmp_path, case):
    checkpoint = str(REFERENCES / case / f"model.ckpt-{MIDDLE}")
    found = stack.apply(case, checkpoint, str(tmp_path))
    assert found["metrics/global_step"] == MIDDLE
    assert_same(case, found, "predictions/")
    assert_same(case, found, "metrics/")


@pytest.mark.parametrize("case", CASES)
def test_training_resumes_with_the_losses_of_tensorflow_1(stack, tmp_path, case):
    checkpoint = str(REFERENCES / case / f"model.ckpt-{MIDDLE}")
    found = stack.train(case, str(tmp_path / "model"), LAST, checkpoint)
    assert found["loss"].shape == (LAST - MIDDLE,)
    difference, step = stack_comparison.largest_by_step(numbers_of(case)["loss"], found["loss"])
    assert difference <= limit_of(case), f"loss of {step} differs by {difference:.1e}"
    assert_same(case, found, "variables/")


@pytest.mark.parametrize("case", EXPORTS)
def test_export_of_tensorflow_1_is_served_with_its_answers(stack, case):
    features = stack_worker.stack_models.features_of(
        stack_worker.stack_models.find(case).features, stack.rows[:ANSWERS]
    )
    examples = [
        {name: values[row].tolist() for name, values in features.items()} for row in range(ANSWERS)
    ]
    served = {}
    settings = serving_settings.ServerSettings(
        port=0,
        rest_api_port=-1,
        model_name=case,
        model_base_path=str(REFERENCES / case / "export"),
    )
    with server.ModelServer(settings) as running:
        with serving_client.PredictionClient(f"127.0.0.1:{running.port}", case) as client:
            for name, signature in client.model_metadata().signatures.items():
                for key, value in _ask(client, signature, examples).items():
                    served[f"served/{name}/{key}"] = stack_worker.plain(value)
    assert served
    assert_same(case, served, "served/")


def _ask(client, signature, examples):
    """Asks a signature in the way of its kind; returns the outputs as the graph has them."""
    method = signature.method_name.rpartition("/")[2]
    if method == "classify":
        answers = client.classify(examples, signature_name=signature.name)
        return {
            "classes": np.array([[label for label, _ in answer] for answer in answers]),
            "scores": np.array([[score for _, score in answer] for answer in answers], np.float32),
        }
    if method == "regress":
        values = client.regress(examples, signature_name=signature.name)
        return {"outputs": np.array(values, np.float32)[:, np.newaxis]}
    (name,) = signature.inputs
    serialized = [serving_client.make_example(one).SerializeToString() for one in examples]
    return client.predict({name: serialized}, signature_name=signature.name)
