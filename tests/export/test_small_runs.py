"""Which runs the calling thread does: short ones that cannot become long."""

import numpy as np
import pytest
import tensorflow as tf

from export import small_runs


def _graph_def(build):
    with tf.Graph().as_default() as graph:
        build(tf.compat.v1.placeholder(tf.float32, [None]))
        return graph.as_graph_def()


def _loop(x):
    return tf.while_loop(lambda y: tf.reduce_sum(y) < 10, lambda y: y + 1, [x])


@pytest.fixture
def runs():
    return small_runs.SmallRuns(_graph_def(lambda x: x * 2))


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
def test_a_graph_with_a_loop_has_no_small_runs(control_flow_v2):
    switch = tf.compat.v1.enable_control_flow_v2
    before = tf.compat.v1.control_flow_v2_enabled()
    (switch if control_flow_v2 else tf.compat.v1.disable_control_flow_v2)()
    try:
        graph_def = _graph_def(_loop)
    finally:
        (switch if before else tf.compat.v1.disable_control_flow_v2)()
    runs = small_runs.SmallRuns(graph_def)
    for _ in range(10):
        runs.add("key", 0.0001)
    assert not runs.is_small("key")


def test_a_loop_inside_a_function_counts():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def times(x):
        return _loop(x)

    graph_def = times.get_concrete_function().graph.as_graph_def()
    inside = _graph_def(lambda x: tf.add(times(x), np.float32(1)))
    assert not small_runs.has_bounded_time(graph_def)
    assert not small_runs.has_bounded_time(inside)
