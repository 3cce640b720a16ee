"""Transfer learning: what is frozen, what is trained, what an extractor may be."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

from estimator_app import settings as settings_lib
from estimator_app.compat import keras
from estimator_app.models import extractors, keras_transfer, registry
from estimator_app.models.problem import Problem
from input_fns import errors


def kernel_of(extractor):
    return tf.saved_model.load(extractor).kernel.numpy()


def saved(directory, step=3):
    """The extractor's kernel and the head's, as a checkpoint has them."""
    reader = tf.train.load_checkpoint(str(directory / f"model.ckpt-{step}"))
    shapes = reader.get_variable_to_shape_map()
    weights = {
        tuple(shape): reader.get_tensor(name)
        for name, shape in shapes.items()
        if "OPTIMIZER_SLOT" not in name and shape in ([3, 3, 3, 4], [4, 10])
    }
    return weights[3, 3, 3, 4], weights[4, 10]


@pytest.fixture(scope="module")
def frozen(run_job, extractor):
    return run_job(
        data="mnist", model="transfer", extractor=extractor, max_steps=3, eval_steps=1, batch_size=8
    )


def test_frozen_extractor_stays_and_the_head_is_trained(frozen, extractor):
    kernel, head = saved(frozen.model_dir)
    np.testing.assert_array_equal(kernel, kernel_of(extractor))
    _, first_head = saved(frozen.model_dir, 0)
    assert np.abs(head - first_head).max() > 1e-4


def test_frozen_extractor_is_in_the_export_and_its_answers_are_right(frozen, extractor):
    (published,) = frozen.result.exports
    loaded = tf.saved_model.load(published.path)
    kernel, head = saved(frozen.model_dir)
    exported = [variable.numpy() for variable in loaded.variables]
    assert any(value.shape == kernel.shape and (value == kernel).all() for value in exported)

    # The same by hand: grey repeated three times, resized to 12 x 12, averaged; the head's bias is all that is missing.
    images = np.random.default_rng(1).random((2, 28, 28), np.float32)
    colour = np.repeat(images[..., np.newaxis], 3, axis=3)
    maps = tf.nn.conv2d(tf.image.resize(colour, [12, 12]), kernel, 1, "SAME")
    features = tf.reduce_mean(tf.nn.relu(maps), [1, 2])
    bias = next(value for value in exported if value.shape == (10,))
    answers = loaded.signatures["tensors:predict"](image=tf.constant(images))
    expected = tf.nn.softmax(features @ head + bias)
    np.testing.assert_allclose(answers["probabilities"], expected, atol=1e-5)


def test_fine_tuned_extractor_is_trained(job_of, extractor):
    kernel, _ = saved(job_of("transfer").model_dir)
    assert np.abs(kernel - kernel_of(extractor)).max() > 1e-4


def module_of(function):
    """A module with that `__call__`."""

    class Module(tf.Module):
        __call__ = tf.function(function)

    return Module()


def test_saved_model_without_signatures_is_called_as_for_inference(tmp_path):
    module = module_of(lambda self, images, training=False: images[:, 0, 0] * (2 - training))
    for training in (True, False):
        module.__call__.get_concrete_function(tf.TensorSpec([None, 4, 4, 3]), training=training)
    tf.saved_model.save(module, str(tmp_path))
    layer = extractors.SavedExtractor(str(tmp_path))
    assert layer.image_shape == (4, 4, 3)
    np.testing.assert_array_equal(layer(np.ones((1, 4, 4, 3), np.float32)), [[2.0, 2.0, 2.0]])


@pytest.mark.parametrize(
    ("spec", "function", "found"),
    [
        (tf.TensorSpec([None], tf.string), tf.strings.length, r"found \['string \[None\]'\] and"),
        (
            tf.TensorSpec([None, 4, 4, 3]),
            lambda images: images[:, 0, 0, 0],
            r"and \['float32 \[None\]'\]\. Export",
        ),
    ],
)
def test_saved_model_that_extracts_nothing_from_images_is_refused(tmp_path, spec, function, found):
    module = module_of(lambda self, values: function(values))
    module.__call__.get_concrete_function(spec)
    tf.saved_model.save(module, str(tmp_path))
    with pytest.raises(
        errors.SettingsError,
        match=f"to take .batch, height, width, channels. of float32 .*{found}",
    ):
        extractors.SavedExtractor(str(tmp_path))


def test_directory_without_a_saved_model_is_refused(tmp_path):
    with pytest.raises(
        errors.SettingsError, match="found no saved_model.pb in it. Correct the path"
    ):
        registry.choose(settings_of(extractor=str(tmp_path)))


def settings_of(**changes):
    return settings_lib.ModelSettings(model="transfer", **changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "--extractor with --model=transfer, found none. Name the directory"),
        (
            {"extractor": "mobilenet_v2"},
            "found neither: random weights would stay as they are. Name a file",
        ),
        (
            {"extractor": "runs/export", "extractor_weights": "weights.h5"},
            "--extractor=mobilenet_v2, found it with runs/export, which has its own. Leave it out",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes, sentence):
    with pytest.raises(errors.SettingsError, match=sentence):
        registry.choose(settings_of(**changes))


def test_colour_images_for_a_grey_extractor_are_refused(tmp_path):
    problem = Problem(None, None, settings_of(extractor="grey"), None)
    images = keras.Input((8, 8, 3))
    with pytest.raises(
        errors.SchemaError,
        match="with 1 channels for --extractor=grey, found 3. Give --image_channels=1",
    ):
        keras_transfer.fit(images, (8, 8, 1), problem)


def test_handle_of_tensorflow_hub_is_fetched(extractor, tmp_path, monkeypatch):
    handle = "https://hub.example/digits/1"
    fetched = tmp_path / hashlib.sha1(handle.encode("utf8")).hexdigest()
    shutil.copytree(extractor, fetched)
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    assert extractors.find(handle) == os.fspath(fetched)


def test_handle_without_the_package_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_hub", None)
    with pytest.raises(errors.SettingsError, match=r"pip install 'estimator-service\[hub\]'"):
        extractors.find("https://hub.example/digits/1")


def test_mobilenet_v2_takes_weights_from_a_file_and_never_trains_its_moments(tmp_path):
    images = keras.Input((96, 96, 3))
    features = extractors.mobilenet_v2(images, "", trainable=True)
    assert features.shape.as_list() == [None, 1280]
    network = keras.Model(images, features)
    assert not any("bn" in weight.name.lower() for weight in network.trainable_weights)
    assert len(network.trainable_weights) == 52  # its convolutions

    weights = str(tmp_path / "weights.h5")
    network.save_weights(weights)
    again = keras.Model(images, extractors.mobilenet_v2(images, weights, trainable=False))
    assert not again.trainable_weights
    for one, other in zip(network.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(one, other)

    (tmp_path / "text.h5").write_text("none")
    for name in ("text.h5", "none.h5", "no_checkpoint"):
        with pytest.raises(
            errors.SettingsError, match="to hold the weights of MobileNetV2 without its"
        ):
            extractors.mobilenet_v2(images, str(tmp_path / name), trainable=False)
