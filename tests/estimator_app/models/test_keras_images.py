"""The image models: how large they are, and that they learn digits."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tensorflow as tf

from estimator_app.models import registry
from input_fns import errors

PARAMETERS = {
    "cnn_dropout": 3_274_634,
    "cnn_functional": 141_258,
    "cnn_small": 257_162,
    "cnn_subclassed": 1_640_394,
    "mlp_300_100": 266_610,
    "mnist_mlp": 101_770,
    "mnist_mlp_dropout": 101_770,
    "transfer": 3 * 3 * 3 * 4 + 4 * 10 + 10,  # with the extractor of conftest.py
}
NOT_A_WEIGHT = re.compile("OPTIMIZER_SLOT|optimizer|global_step|training/|_OBJECT_GRAPH")


def num_parameters(model_dir):
    return sum(
        int(np.prod(shape))
        for name, shape in tf.train.list_variables(str(model_dir))
        if not NOT_A_WEIGHT.search(name)
    )


def test_the_parameters_of_every_image_model_are_counted():
    assert set(PARAMETERS) == {
        name for name, model in registry.MODELS.items() if model.takes_images
    }


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_number_of_parameters_on_digits(job_of, name):
    assert num_parameters(job_of(name).model_dir) == PARAMETERS[name]


@pytest.mark.parametrize("name", ["mnist_mlp", "cnn_subclassed"])
def test_real_digits_are_learnt(run_job, name):
    job = run_job(data="mnist", model=name, max_steps=60, batch_size=64, eval_steps=10)
    assert job.result.metrics["accuracy"] > 0.75


def test_image_model_takes_one_image_and_classes(run_job):
    with pytest.raises(
        errors.SchemaError,
        match=r"for --model=cnn_small, found 5 feature\(s\), such as .* Use --data=mnist, or a model for tables",
    ):
        run_job(model="cnn_small")
