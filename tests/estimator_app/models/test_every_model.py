"""Every model of the registry: trained, evaluated, exported, served, queried; and the settings that it takes."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

from estimator_app import sample
from estimator_app import settings as settings_lib
from estimator_app.models import registry
from estimator_app.serving import server
from estimator_app.serving import settings as serving_settings
from input_fns import errors
import serving_client
from serving_client import encoding
from tests.estimator_app.models.conftest import OTHER, SETTINGS

DOCS = pathlib.Path(__file__).parents[3] / "docs" / "models.md"


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def served(job, rows, has_lists):
    """Returns what a server answers for `rows` by the export of `job`, output name -> array."""
    settings = serving_settings.ServerSettings(
        port=0, rest_api_port=-1, model_name="m", model_base_path=job.settings.export_dir
    )
    with server.ModelServer(settings) as running:
        with serving_client.PredictionClient(f"127.0.0.1:{running.port}", "m") as client:
            if has_lists:  # of different lengths, which are no tensor
                records = [dict(zip(rows, values)) for values in zip(*rows.values())]
                examples = [encoding.make_example(row).SerializeToString() for row in records]
                return client.predict({"examples": examples}, signature_name="predict")
            return client.predict(rows, signature_name="tensors:predict")


@pytest.mark.parametrize("name", sorted(registry.MODELS))
def test_trained_exported_served_and_queried_with_all_its_settings(job_of, name):
    job = job_of(name)
    assert job.result.global_step == 3
    assert np.isfinite(job.result.metrics["loss"])

    rows = read_lines(job.model_dir / sample.ROWS)[:7]
    expected = read_lines(job.model_dir / sample.PREDICTIONS)[:7]
    label = "label" if registry.MODELS[name].takes_images else "income"
    features = {key: [row[key] for row in rows] for key in rows[0] if key != label}
    answers = served(job, features, "sequence_columns" in registry.MODELS[name].settings)
    assert set(answers) == set(expected[0])
    for output, values in answers.items():
        wanted = [row[output] for row in expected]
        if values.dtype.kind == "f":
            np.testing.assert_allclose(values, wanted, atol=1e-5)
        else:
            assert json.loads(json.dumps(values.tolist(), default=bytes.decode)) == wanted


@pytest.mark.parametrize("name", sorted(registry.MODELS))
def test_setting_that_a_model_does_not_heed_is_refused(name):
    taken = registry.MODELS[name].settings
    assert set(taken) <= set(SETTINGS)
    for field in sorted(set(SETTINGS) - set(taken)):
        value = getattr(OTHER, field)
        if value == SETTINGS[field]:
            value = {
                "example_id_column": "row",
                "loss": "poisson",
                "head_weights": (2.0, 1.0),
                "extractor": "tiny",
                "extractor_weights": "tiny.h5",
                "features": "features.yaml",
            }[field]
        settings = settings_lib.ModelSettings(model=name, **{field: value})
        with pytest.raises(
            errors.SettingsError, match=f"Expected --model={name} without --{field}, of which"
        ):
            registry.choose(settings)


def test_sdca_is_for_the_linear_model():
    with pytest.raises(
        errors.SettingsError, match="--optimizer=sdca with --model=linear, found --model=dnn"
    ):
        registry.choose(settings_lib.ModelSettings(model="dnn", optimizer="sdca"))


def test_own_builder_is_given_every_setting():
    own = settings_lib.ModelSettings(model="os.path:join", num_clusters=3, dropout=0.5)
    assert set(registry.choose(own).settings) == set(SETTINGS)


def test_the_docs_list_the_settings_of_every_model():
    rows = [line.split("|") for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    documented = {
        cells[1].strip(" `"): {word.strip(" `-") for word in cells[2].split(",")}
        for cells in rows
        if len(cells) == 4
    }
    assert documented == {name: set(model.settings) for name, model in registry.MODELS.items()}
