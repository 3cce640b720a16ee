"""Small SavedModels for tests, each written as one version under a base path."""

from collections.abc import Callable, Sequence
import pathlib
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

v1 = tf.compat.v1
PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"
LABELS = (b"no", b"yes")


def write_examples_model(base: pathlib.Path, version: int = 1) -> pathlib.Path:
    """A TF1 model on `tf.Example`s with a float feature `x` of 2: what premade Estimators export.

    Its logit is `x[0] + 2 x[1]`; the weights are variables, the labels come from a vocabulary file.
    Beside `serving_default` (all outputs), `classification` and `regression` it has signatures that
    are wrong, each in one way, for the errors that they lead to.
    """

    def build() -> dict[str, Any]:
        vocabulary = base / "labels.txt"
        base.mkdir(parents=True, exist_ok=True)
        vocabulary.write_bytes(b"\n".join(LABELS) + b"\n")
        weights = v1.get_variable("weights", initializer=tf.constant([[1.0], [2.0]]))
        examples = v1.placeholder(tf.string, [None], name="examples")
        spec = {"x": tf.io.FixedLenFeature([2], tf.float32)}
        logits = tf.matmul(tf.io.parse_example(examples, spec)["x"], weights)
        probabilities = tf.concat([1 - tf.sigmoid(logits), tf.sigmoid(logits)], 1)
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                str(vocabulary),
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
            ),
            b"?",
        )
        rows = tf.shape(logits)[0]
        labels = table.lookup(tf.tile(tf.range(2, dtype=tf.int64)[tf.newaxis], [rows, 1]))
        first = tf.argmax(probabilities, 1)
        outputs = {
            "logits": logits,
            "probabilities": probabilities,
            "label": tf.gather(labels[0], first),
        }
        both = {"classes": labels, "scores": probabilities}
        one = {"inputs": examples}
        return {
            "serving_default": (PREDICT, {"examples": examples}, outputs),
            "classification": (CLASSIFY, one, both),
            "regression": (REGRESS, one, {"outputs": logits}),
            "flat_regression": (REGRESS, one, {"outputs": logits[:, 0]}),
            "only_classes": (CLASSIFY, one, {"classes": labels}),
            "only_scores": (CLASSIFY, one, {"scores": probabilities}),
            "two_inputs": (CLASSIFY, {"inputs": examples, "more": examples}, both),
            "input_key": (CLASSIFY, {"examples": examples}, both),
            "three_outputs": (CLASSIFY, one, {**both, "logits": logits}),
            "no_class_key": (CLASSIFY, one, {"logits": logits}),
            "flat_classes": (CLASSIFY, one, {"classes": labels[:, 0]}),
            "flat_scores": (CLASSIFY, one, {"scores": probabilities[:, 0]}),
            "float_classes": (CLASSIFY, one, {"classes": probabilities}),
            "double_scores": (CLASSIFY, one, {"scores": tf.cast(probabilities, tf.float64)}),
            "more_classes": (CLASSIFY, one, {"classes": tf.concat([labels, labels], 0)}),
            "more_scores": (CLASSIFY, one, {"scores": tf.concat([probabilities] * 2, 0)}),
            "wide_scores": (
                CLASSIFY,
                one,
                {"classes": labels, "scores": tf.concat([probabilities] * 2, 1)},
            ),
            "output_key": (REGRESS, one, {"logits": logits}),
            "two_outputs": (REGRESS, one, {"outputs": logits, "more": logits}),
            "wide_outputs": (REGRESS, one, {"outputs": probabilities}),
            "more_outputs": (REGRESS, one, {"outputs": tf.concat([logits, logits], 0)}),
            "double_outputs": (REGRESS, one, {"outputs": tf.cast(logits, tf.float64)}),
        }

    return _write(base, version, build)


def write_plain_model(
    base: pathlib.Path, version: int = 1, factor: float = 2.0, tags: Sequence[str] = ("serve",)
) -> pathlib.Path:
    """A TF1 model on plain tensors, without variables.

    * `serving_default`: `y = factor * x`, `x` a placeholder of static shape `[None, 1]`.
    * `sum`: `a` and `b` float32 of any shape to `sum` and `difference`.
    * `with_default`: the same, where `b` is 10 unless given.
    * `product`: the matrix product of `a` and `b`.
    * `types`: one identity each for several dtypes, under the same names on both sides.
    * `slow`: counts `n` int64 steps, one after the other.
    * `random`: the sum of `n` random numbers.
    """

    def build() -> dict[str, Any]:
        x = v1.placeholder(tf.float32, [None, 1], name="x")
        a, b = v1.placeholder(tf.float32, name="a"), v1.placeholder(tf.float32, name="b")
        pair = {"a": a, "b": b}
        sums = {"sum": a + b, "difference": a - b}
        dtypes = (tf.float64, tf.int8, tf.int32, tf.int64, tf.bool, tf.string, tf.half, tf.uint64)
        same = {dtype.name: v1.placeholder(dtype) for dtype in dtypes}
        echoed = {name: tf.identity(tensor) for name, tensor in same.items()}
        n = v1.placeholder(tf.int64, [], name="n")
        (steps,) = tf.while_loop(lambda i: i < n, lambda i: [i + 1], [tf.constant(0, tf.int64)])
        return {
            "serving_default": (PREDICT, {"x": x}, {"y": x * factor}),
            "sum": (PREDICT, pair, sums),
            "with_default": (PREDICT, pair, sums),
            "product": (PREDICT, pair, {"product": tf.matmul(a, b)}),
            "types": (PREDICT, same, echoed),
            "slow": (PREDICT, {"n": n}, {"steps": steps}),
            "random": (
                PREDICT,
                {"n": n},
                {"sum": tf.reduce_sum(tf.random.normal(tf.fill([1], n)))},
            ),
        }

    def edit(definitions: dict[str, Any]) -> None:
        definitions["with_default"].defaults["b"].CopyFrom(tf.make_tensor_proto(10.0))

    return _write(base, version, build, edit, tags)


def edit_saved_model(path: pathlib.Path, edit: Callable[[Any], None]) -> None:
    """Changes the MetaGraphDef of a version on disk."""
    file = path / "saved_model.pb"
    message = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    edit(message.meta_graphs[0])
    file.write_bytes(message.SerializeToString())


def write_module(base: pathlib.Path, version: int = 1) -> pathlib.Path:
    """A TF2 module with a variable and a table: `serving_default` maps `word` to its `number`."""

    class Numbers(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.offset = tf.Variable(100, dtype=tf.int64)
            self.table = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    [b"one", b"two"], tf.constant([1, 2], tf.int64)
                ),
                -1,
            )

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="word")])
        def number(self, word: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"number": self.table.lookup(word) + self.offset}

    module = Numbers()
    path = base / str(version)
    tf.saved_model.save(module, str(path), signatures=module.number)
    return path


def lite_model() -> bytes:
    """A TFLite file: `y = 2 x + 1`, x float32 `[?, 2]`, and `word` text `[?]`, which comes back as `[?, 1]`."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.float32, name="x"),
            tf.TensorSpec([None], tf.string, name="word"),
        ]
    )
    def double(x: tf.Tensor, word: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * 2.0 + 1.0, "column": tf.reshape(word, [-1, 1])}

    function = double.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module()).convert()


def serialized(*rows: tuple[float, float]) -> list[bytes]:
    """One serialized Example a row, with its two numbers as feature `x`."""
    examples = []
    for row in rows:
        example = tf.train.Example()
        example.features.feature["x"].float_list.value.extend(row)
        examples.append(example.SerializeToString())
    return examples


def _write(
    base: pathlib.Path,
    version: int,
    build: Callable[[], dict[str, Any]],
    edit: Callable[[dict[str, Any]], None] = lambda definitions: None,
    tags: Sequence[str] = ("serve",),
) -> pathlib.Path:
    """Writes what `build` makes: signature name -> (method, inputs, outputs)."""
    path = base / str(version)
    with tf.Graph().as_default(), v1.Session() as session:
        definitions = {
            name: v1.saved_model.build_signature_def(_infos(inputs), _infos(outputs), method)
            for name, (method, inputs, outputs) in build().items()
        }
        edit(definitions)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session,
            list(tags),
            definitions,
            main_op=v1.tables_initializer(),
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
        )
        builder.save()
    return path


def _infos(tensors: dict[str, tf.Tensor]) -> dict[str, Any]:
    return {name: v1.saved_model.build_tensor_info(tensor) for name, tensor in tensors.items()}
