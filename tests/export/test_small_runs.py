"""Which runs the calling thread does: short ones that cannot become long."""

import pytest
import tensorflow as tf

from export import small_runs


def _is_bounded(build, dtype=tf.float32):
    """Whether a run has bounded time that feeds a vector of any size and fetches what `build` makes of it."""
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(dtype, [None])
        y = tf.identity(build(x))
        return small_runs.BoundedTime(graph.as_graph_def()).holds([x.name], [y.name])


def _loop(x):
    return tf.while_loop(lambda y: tf.reduce_sum(y) < 10, lambda y: y + 1, [x])


@pytest.fixture
def runs():
    return small_runs.SmallRuns()


def test_a_run_is_small_once_it_was_short_five_times(runs):
    for _ in range(4):
        runs.add("key", 0.0001)
    assert not runs.is_small("key")
    runs.add("key", 0.0001)
    assert runs.is_small("key")
    assert not runs.is_small("other")


def test_longer_runs_prove_nothing_and_a_very_long_one_begins_the_proof_anew(runs):
    for _ in range(20):
        runs.add("slow", 0.01)
    assert not runs.is_small("slow")
    for _ in range(5):
        runs.add("key", 0.0001)
    runs.add("key", 0.01)
    assert runs.is_small("key")
    runs.add("key", 0.2)
    assert not runs.is_small("key")


def test_keys_are_bounded(runs):
    for number in range(3000):
        runs.add(number, 0.0001)
    assert len(runs._missing) <= 1000


@pytest.mark.parametrize("control_flow_v2", [True, False])
def test_a_loop_has_no_bounded_time(control_flow_v2):
    switch = tf.compat.v1.enable_control_flow_v2
    before = tf.compat.v1.control_flow_v2_enabled()
    (switch if control_flow_v2 else tf.compat.v1.disable_control_flow_v2)()
    try:
        assert not _is_bounded(_loop)
        assert _is_bounded(lambda x: x * 2)
    finally:
        (switch if before else tf.compat.v1.disable_control_flow_v2)()


def test_a_loop_inside_a_function_counts_for_who_calls_it():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def times(x):
        return _loop(x)[0]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def twice(x):
        return times(times(x))

    assert not _is_bounded(lambda x: times(x) + 1)
    assert not _is_bounded(lambda x: twice(x) + 1)


def test_what_is_not_fetched_does_not_count():
    def two(x):
        _loop(x)
        return x * 2

    def one_waits_for_the_other(x):
        with tf.control_dependencies([_loop(x)[0]]):
            return x * 2

    assert _is_bounded(two)
    assert not _is_bounded(one_waits_for_the_other)


@tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
def _zeros_in_a_function(x):
    return tf.zeros(tf.cast(x, tf.int32))


_SIZED_BY_VALUES = {
    "normal": lambda x: tf.random.normal(tf.fill([1], tf.cast(x[0], tf.int32))),
    "stateless": lambda x: tf.random.stateless_uniform(tf.cast(x, tf.int32), [1, 2]),
    "range": lambda x: tf.range(x[0]),
    "fill": lambda x: tf.fill(tf.cast(x, tf.int32), 1.0),
    "tile": lambda x: tf.tile([1.0], tf.cast(x, tf.int32)),
    "one hot": lambda x: tf.one_hot([1], tf.cast(x[0], tf.int32)),
    "repeat": lambda x: tf.repeat(x, tf.cast(x, tf.int32)),
    "resize": lambda x: tf.image.resize(tf.ones([1, 2, 2, 1]), tf.cast(x, tf.int32)),
    "broadcast": lambda x: tf.broadcast_to([1.0], tf.cast(x, tf.int32)),
    "pad": lambda x: tf.pad([1.0], tf.reshape(tf.cast(x, tf.int32), [1, 2])),
    "function": _zeros_in_a_function,
}


@pytest.mark.parametrize("name", _SIZED_BY_VALUES)
def test_a_size_that_is_a_fed_value_has_no_bounded_time(name):
    assert not _is_bounded(_SIZED_BY_VALUES[name])


_SIZED_BY_SHAPES = {
    "fill": lambda x: tf.fill([3], x[0]),
    "zeros": tf.zeros_like,
    "normal": lambda x: x + tf.random.normal(tf.shape(x)),
    "range": lambda x: tf.range(tf.size(x) * 2),
    "tile": lambda x: tf.tile(x, 2 * tf.shape(x)),
    "one hot": lambda x: tf.one_hot(tf.cast(x, tf.int32), 7),
    "resize": lambda x: tf.image.resize(tf.reshape(x, [1, 2, 2, 1]), [3, 3]),
    "function": lambda x: tf.function(tf.zeros_like)(x),
}


@pytest.mark.parametrize("name", _SIZED_BY_SHAPES)
def test_a_size_that_is_a_shape_has_bounded_time(name):
    assert _is_bounded(_SIZED_BY_SHAPES[name])


def test_decoded_pictures_have_no_bounded_time_and_parsed_examples_have():
    def parse(examples):
        return tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([2], tf.float32)})["x"]

    assert not _is_bounded(lambda x: tf.io.decode_png(x[0]), tf.string)
    assert _is_bounded(parse, tf.string)
