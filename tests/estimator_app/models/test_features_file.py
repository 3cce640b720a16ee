"""The file of `--features`: every kind of docs/features.md, what it says, and what it is refused for."""

from __future__ import annotations

import dataclasses
import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

from estimator_app import settings as settings_lib
from estimator_app.compat import estimator, keras
from estimator_app.models import (
    derived,
    feature_kinds,
    feature_parser,
    premade,
    recurrent,
    treatment,
    weight_rows,
)
from estimator_app.models.problem import Problem
from input_fns import errors, histograms
from input_fns import schema as schema_lib
from input_fns import statistics as statistics_lib

DOCS = pathlib.Path(__file__).parents[3] / "docs" / "features.md"

EDUCATION = ("Bachelor", "Master", "School")
OCCUPATION = tuple(f"job {i}" for i in range(30))
SCHEMA = schema_lib.Schema(
    (
        schema_lib.Feature("age", "int64", low=17, high=90),
        schema_lib.Feature("hours", "float32", low=0.0, high=80.0),
        schema_lib.Feature("score", "float32", low=0.0, high=1.0),
        schema_lib.Feature("education", "string", vocabulary=EDUCATION),
        schema_lib.Feature("occupation", "string", vocabulary=OCCUPATION),
        schema_lib.Feature("zip", "string"),
        schema_lib.Feature("home", "string"),
        schema_lib.Feature("work", "string"),
        schema_lib.Feature("code", "int64", low=0, high=11),
        schema_lib.Feature("prices", "float32", low=0.0, high=9.0, value_count=(0, 3)),
        schema_lib.Feature("review", "string", kind="text"),
        schema_lib.Feature("title", "string", vocabulary=("A b", "C d")),
        schema_lib.Feature("comment", "string", kind="text"),
        schema_lib.Feature("signup", "string", kind="date", default=b""),
    ),
    (schema_lib.Feature("y", "string", vocabulary=("a", "b")),),
)
CONFIG = estimator.RunConfig(tf_random_seed=1)
DAYS = statistics_lib.NumericStatistics("signup", "int64", 9, 0, 19_000.0, 10.0, 18_990, 19_010)


def known(feature):
    if feature.kind == "date":
        return statistics_lib.StringStatistics(feature.name, "string", 9, 0, 9, (), days=DAYS)
    if feature.dtype == "string":
        return statistics_lib.StringStatistics(feature.name, "string", 9, 0, 9, ())
    quantiles = tuple(histograms.Bucket(low, low + 10, 2) for low in (10, 20, 30, 50))
    return statistics_lib.NumericStatistics(
        feature.name, feature.dtype, 9, 0, 40.0, 10.0, 20, 60, quantiles=quantiles
    )


STATISTICS = statistics_lib.DatasetStatistics(9, tuple(known(f) for f in SCHEMA.features))
ROWS = {
    "age": np.array([20, 30, 60]),
    "hours": np.array([0.0, 40.0, 80.0], np.float32),
    "score": np.array([0.0, 0.5, 2.0], np.float32),
    "education": np.array(["Bachelor", "Master", "none"]),
    "occupation": np.array(["job 1", "", "nobody"]),
    "zip": np.array(["10115", "", "75001"]),
    "home": np.array(["Rome", "Bonn", ""]),
    "work": np.array(["Bonn", "Rome", "Rome"]),
    "code": np.array([0, 11, 99]),
    "review": np.array(["Good, good fun!", "", "Über gut"]),
    "title": np.array(["A b", "C d", ""]),
    "comment": np.array(["one two three", "", "one"]),
    "signup": np.array(["2022-01-08", "2022-01-09T18:00", ""]),
}
PRICES = [[0, 0], [0, 1], [2, 0]], np.array([1, 3, 7], np.float32), [3, 2]


def problem_of(text, tmp_path):
    """Returns the problem of the features that the file's text names."""
    named = tuple(f for f in SCHEMA.features if re.search(rf"\b{f.name}\b", text))
    schema = schema_lib.Schema(named, SCHEMA.labels)
    path = tmp_path / "features.yaml"
    path.write_text(text)
    config = feature_parser.read(str(path))
    settings = settings_lib.ModelSettings(features=str(path), hidden_units=(4,))
    return Problem(schema, STATISTICS, settings, config=CONFIG, features=config)


def features_of(steps):
    """Returns ROWS as tensors of the default graph, and what is derived from them."""
    features = {
        **{name: tf.constant(values) for name, values in ROWS.items()},
        "prices": tf.SparseTensor(*PRICES),
    }
    for step in steps:
        features.update(step(features))
    return features


def start(session):
    session.run([tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()])


def values_of(make_columns, problem, sequences=False):
    """Returns what dense columns have of ROWS, `[3, width]`, of sequences `[3, longest, width]`."""
    made, steps = derived.derive(problem, sequences)
    layer = keras.experimental.SequenceFeatures if sequences else keras.layers.DenseFeatures
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tensor = layer(make_columns(made))(features_of(steps))
        start(session)
        return session.run(tensor)


def deep_of(text, tmp_path):
    """Returns what the deep part has of the features that `text` names, `[3, width]`."""
    return values_of(treatment.deep_columns, problem_of(text, tmp_path))


def train(build, problem, sequences=False):
    """Trains a model on ROWS for two steps and looks at their losses."""
    model = derived.build_with_derived_features(build, problem, sequences)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.train.create_global_step()
        labels = tf.constant(["a", "b", "a"])
        spec = model.model_fn(features_of([]), labels, "train", model.config)
        start(session)
        losses = [session.run([spec.loss, spec.train_op])[0] for _ in range(2)]
    assert np.isfinite(losses).all() and losses[1] != losses[0]


def examples():
    """Returns the YAML of docs/features.md: the last cell of each kind, and the blocks that are about no data set."""
    text = DOCS.read_text()
    kinds = re.findall(r"^\|.*\| `(\w+: .*)` \|$", text, re.MULTILINE)
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return kinds + [block for block in blocks if "fnlwgt" not in block]


@pytest.mark.parametrize("text", examples())
def test_every_example_of_the_manual_can_be_learnt(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("occupations.txt").write_text("\n".join(OCCUPATION))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        weights = tf.compat.v1.get_variable("weights", initializer=tf.ones([20, 3]))
        session.run(weights.initializer)
        tf.compat.v1.train.Saver().save(session, "zips/model.ckpt")
    train(premade.dnn_linear, problem_of(text, tmp_path))


def test_the_manual_has_every_kind():
    text = DOCS.read_text()
    for kind, options in feature_kinds.KINDS.items():
        row = re.search(rf"^\| `{kind}` \|.*(\n\| \|.*)*", text, re.MULTILINE)
        assert row, kind
        assert [name for name in options if f"`{name}`" not in row.group()] == []


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("age: {numeric: none}", [[20], [30], [60]]),
        ("age: {numeric: min_max}", [[0], [0.25], [1]]),
        ("age: {numeric: {normalizer: log1p}}", np.log1p([[20], [30], [60]])),
        ("age: {bucketized: [25, 60]}", [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        ("age: {bucketized: 4}", [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        (
            "age: [{bucketized: [25]}, {bucketized: [45]}]",
            [[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 0, 1]],
        ),
        ("education: {vocabulary_list: [Master]}", [[0, 1], [1, 0], [0, 1]]),
        ("education: {vocabulary_list: {values: [Master], default_value: -1}}", [[0], [1], [0]]),
        ("code: {identity: {num_buckets: 12, default_value: 1}}", np.eye(12)[[0, 11, 1]]),
        ("code: {vocabulary_list: [99, 11]}", [[0, 0, 1], [0, 1, 0], [1, 0, 0]]),
        (
            "education: {vocabulary_list: [Bachelor, Master], weighted_categorical: score}\nscore: ignore",
            [[0, 0, 0], [0, 0.5, 0], [0, 0, 2]],
        ),
        (
            "".join(f"signup.{part}: ignore\n" for part in ("weekday", "month", "hour")),
            [[0.0], [0.175], [0.0]],
        ),
        ("signup: {date: weekday}", np.eye(8)[[6, 7, 0]]),
        ("signup: {date: month_cycle}", [[0.5, 0.75**0.5], [0.5, 0.75**0.5], [0, 0]]),
        ("signup.days: {numeric: none}\nsignup: {date: [days]}", [[19_000], [19_001.75], [19_000]]),
        ("prices: {numeric: none}", [[2], [40], [7]]),
        ("prices: {bucketized: [5]}", [[1, 0], [0, 1], [0, 1]]),
        (
            "title: text\ntitle.tokens: {vocabulary_list: [a, c, d]}",
            [[1, 0, 0, 1], [0, 1, 1, 0], [0] * 4],
        ),
        (
            "review: {vocabulary_list: {values: [good, über], default_value: -1}}",
            [[2, 0], [0, 0], [0, 1]],
        ),
        ("comment: {kind: plain, vocabulary_list: [one two three]}", [[1, 0], [0, 0], [0, 1]]),
    ],
)
def test_what_the_deep_part_is_given(text, wanted, tmp_path):
    np.testing.assert_allclose(deep_of(text, tmp_path), wanted, atol=1e-6)


def test_parts_are_told_apart(tmp_path):
    text = (
        "education: {deep: embedding, wide: ignore}\nage: {wide: {bucketized: [30]}}\nhours: ignore"
    )
    made, _ = derived.derive(problem_of(text, tmp_path))
    deep, wide = treatment.deep_columns(made), treatment.wide_columns(made)
    assert [column.name for column in deep] == ["age", "education_embedding"]
    assert [column.name for column in wide] == ["age_bucketized"]
    linear = treatment.linear_columns(made)
    assert [column.name for column in linear] == ["age_bucketized"]


def test_crosses_take_the_buckets_of_the_file(tmp_path):
    text = (
        "age: {bucketized: [30]}\ncrosses: [{keys: [age, education, hours], hash_bucket_size: 9}]"
    )
    made, _ = derived.derive(problem_of(text, tmp_path))
    (cross,) = [c for c in treatment.wide_columns(made) if hasattr(c, "hash_bucket_size")]
    age, education, hours = cross.keys
    assert age.boundaries == (30,) and education == "education" and len(hours.boundaries) == 11


def test_shared_embeddings_have_one_set_of_weights(tmp_path):
    text = "shared_embeddings: [{features: [home, work], hash_bucket: 50, dimension: 3}]"
    found = deep_of(text, tmp_path)
    assert found.shape == (3, 6)
    # Of the first two rows one's home is the other's work.
    np.testing.assert_array_equal(found[0, :3], found[1, 3:])
    np.testing.assert_array_equal(found[0, 3:], found[1, :3])


def test_embedding_begins_with_the_checkpoints_weights(tmp_path):
    weights = np.arange(24, dtype=np.float32).reshape(12, 2)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.get_variable("codes", initializer=weights)
        session.run(variable.initializer)
        tf.compat.v1.train.Saver().save(session, str(tmp_path / "codes.ckpt"))
    text = (
        f"code: {{identity: 12, embedding: {{checkpoint: {tmp_path}/codes.ckpt, tensor: codes}}}}"
    )
    np.testing.assert_array_equal(deep_of(text, tmp_path), weights[[0, 11, 0]])
    with pytest.raises(errors.SettingsError, match=r"expected weights of \[9, 2\] in 'codes'"):
        deep_of(text.replace("12", "9"), tmp_path)
    with pytest.raises(errors.SettingsError, match=r"found 'code'. Write 'codes'"):
        deep_of(text.replace("tensor: codes", "tensor: code"), tmp_path)


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("prices: {numeric: none}", [[[1], [3]], [[0], [0]], [[7], [0]]]),
        (
            "prices: {numeric: {normalizer: none, default: -1}}",
            [[[1], [3]], [[-1]] * 2, [[7], [-1]]],
        ),
        (
            "title: text\ntitle.tokens: {vocabulary_list: {values: [a, d], default_value: -1}}",
            [[[1, 0], [0, 0]], [[0, 0], [0, 1]], [[0, 0], [0, 0]]],
        ),
    ],
)
def test_lists_are_read_as_sequences(text, wanted, tmp_path):
    found, lengths = values_of(
        lambda made: treatment.sequence_columns(made, made.schema.features),
        problem_of(text, tmp_path),
        sequences=True,
    )
    np.testing.assert_allclose(found, wanted)
    assert len(lengths) == 3


@pytest.mark.parametrize(
    "named, wanted", [((), ("prices",)), (("review",), ("review.tokens",)), (("age",), ("age",))]
)
def test_lists_of_the_data_go_before_words(named, wanted, tmp_path):
    problem = problem_of("age: numeric\nprices: numeric\nreview: text", tmp_path)
    settings = dataclasses.replace(problem.settings, sequence_columns=named)
    problem = dataclasses.replace(problem, settings=settings)
    assert derived.derive(problem, sequences=True)[0].settings.sequence_columns == wanted


def test_rows_of_weights_are_named_as_the_file_has_them(tmp_path):
    text = (
        "age: {bucketized: [30]}\nsignup: {date: [days, month]}\n"
        "shared_embeddings: [{features: [home, work], hash_bucket: 50, dimension: 3}]"
    )
    problem = problem_of(text, tmp_path)
    names = weight_rows.names(problem)
    assert len(names["linear/linear_model/age_bucketized/weights"]) == 2
    assert len(names["linear/linear_model/signup.month/weights"]) == 13
    width = values_of(treatment.deep_columns, problem).shape[1]
    assert len(set(names["dnn/hiddenlayer_0/kernel"])) == width == 2 + 1 + 13 + 6


def test_rows_of_vocabularies_are_named_by_their_values(tmp_path):
    (tmp_path / "jobs.txt").write_text("job 2\njob 1\njob 0\n")
    text = (
        f"occupation: {{vocabulary_file: {{path: {tmp_path}/jobs.txt, size: 2}}}}\n"
        "title: {kind: plain, vocabulary_list: [C d], weighted_categorical: score}\nscore: ignore\n"
        "shared_embeddings: [{features: [zip, home], vocabulary_list: [b, a], dimension: 3}]"
    )
    names = weight_rows.names(problem_of(text, tmp_path))
    assert names["linear/linear_model/occupation/weights"] == ["'job 2'", "'job 1'", "other 0"]
    weighted = names["linear/linear_model/title_weighted_by_title.weight/weights"]
    assert weighted == ["'C d'", "other 0"]
    assert names["home_zip_shared_embedding"] == ["'b'", "'a'", "other 0"]
    assert "occupation_indicator: 'job 2'" in names["dnn/hiddenlayer_0/kernel"]


def test_words_of_text_are_read_one_by_one(tmp_path):
    text = "age: numeric\nreview: {hash_bucket: 20, embedding: 2}"
    train(recurrent.rnn, problem_of(text, tmp_path), sequences=True)


def test_distances_have_nothing_to_train(tmp_path):
    text = "age: numeric\nreview: text\nsignup: {date: [days, month]}"
    found = values_of(treatment.distance_columns, problem_of(text, tmp_path))
    assert found.shape == (3, 1 + 10_000 + 1 + 13)
    np.testing.assert_array_equal(found.sum(axis=1).round(), [2, 0, 5])
    with pytest.raises(errors.SettingsError, match="with nothing to train .* found an embedding"):
        values_of(
            treatment.distance_columns, problem_of("zip: {hash_bucket: 9, embedding: 2}", tmp_path)
        )


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("age: [1", r"line 1: expected YAML, found: expected ',' or '\]'"),
        ("age: numeric\nage: ignore", "line 2: expected 'age' once, found it in line 1 as well"),
        ("- age", "expected features by name"),
        ("age:", "line 1, feature 'age': expected ignore, a kind .*, found None"),
        (
            "\nzip: {hash_buckets: 9}",
            "line 2, feature 'zip': .*, found 'hash_buckets'. Write 'hash_b",
        ),
        ("zip: igore", "found 'igore'. Write 'ignore'"),
        ("zip: {hash_bucket: many}", "size of hash_bucket to be a whole number >= 1, found 'many'"),
        ("zip: hash_bucket", "expected size of hash_bucket, found none"),
        (
            "age: {bucketized: [30, 20]}",
            "boundaries of bucketized to be numbers in ascending order",
        ),
        (
            "age: {bucketized: {boundaries: [3], quantiles: 4}}",
            "boundaries or quantiles .* found both",
        ),
        (
            "age: {numeric: standardd}",
            "normalizer of numeric to be one of standard, min_max, log1p",
        ),
        ("zip: {hash_bucket: 9, embedding: {dim: 4}}", "options of embedding .* found 'dim'"),
        ("zip: {hash_bucket: 9, identity: 4}", "one of hash_bucket and identity, found both"),
        (
            "age: {numeric: log1p, embedding: 4}",
            "expected categories below embedding, found numeric",
        ),
        ("zip: {vocabulary_list: [yes, no]}", r"quote words such as 'yes' and 'no', found \[True"),
        (
            "zip: {deep: embedding, hash_bucket: 9}",
            "deep and wide alone, found hash_bucket. Move it",
        ),
        ("zip: {kind: date}", "kind to be one of plain, text, found 'date'"),
        ("crosses: {keys: [zip]}", "line 1: expected crosses to be a list"),
        ("crosses:\n- {keys: [zip], hash_bucket_size: 9}", "line 2, crosses: expected two keys"),
        ("crosses:\n- {keys: [zip, work]}", "expected keys and hash_bucket_size"),
        (
            "shared_embeddings:\n- {features: [home, work], dims: 4}",
            "found 'dims'. Write 'dimension'",
        ),
        # What only the data can tell.
        (
            "zipp: ignore\nzip: ignore\nage: ignore",
            r"a feature of the model \(age, zip\), found 'zipp'. Write 'zip'",
        ),
        (
            "crosses:\n- {keys: [zip, ages], hash_bucket_size: 9}",
            "line 2, crosses: .* found 'ages'",
        ),
        ("zip: numeric", "expected numbers for numeric, found text. Take a kind for text"),
        (
            "hours: {hash_bucket: 9}",
            "expected text or ids for hash_bucket, found float32, an amount",
        ),
        ("age: {embedding: 4}", "text or ids for embedding, found int64, an amount.*or identity"),
        ("zip: {identity: 4}", "a feature of whole numbers for identity, found text"),
        (
            "code: {vocabulary_list: [a, b]}",
            "a feature of text for vocabulary_list, found whole numb",
        ),
        ("zip: {vocabulary_file: none.txt}", "a vocabulary_file, found none at none.txt"),
        (
            "zip: {weighted_categorical: hour}\nhours: ignore",
            "weight_feature to be one of .*'hour'. Write 'hours'",
        ),
        (
            "home: {weighted_categorical: work}",
            "to have a number for each value of 'home', found str",
        ),
        ("signup: {hash_bucket: 9}", "a date to be treated by its parts, .* such as 'signup.days'"),
        ("signup: {date: [days, monthh]}", "parts of a date .* found 'monthh'. Write 'month'"),
        ("age: {date: days}", "expected a date, found int64. Declare it in the schema"),
        ("age: {numeric: {default: 3}}", "default for a list that is read as a sequence"),
        ("age: ignore", "expected a feature that is not ignored, found none"),
        ("age: {wide: numeric, deep: ignore}", "expected a column in the deep part .* found none"),
        (
            "shared_embeddings:\n- {features: [home, work]}",
            "one kind of categories for all of them",
        ),
    ],
)
def test_mistake_is_one_sentence(text, sentence, tmp_path):
    with pytest.raises(errors.SettingsError, match=sentence):
        deep_of(text, tmp_path)
