"""Progress lines and bars, from a real session with a clock of the test's own."""

import io

import tensorflow as tf

from estimator_app import progress


def train(hook, steps):
    """Runs a session of `steps` steps under the hook."""
    with tf.Graph().as_default():
        step = tf.compat.v1.train.create_global_step()
        loss = tf.constant(0.25)
        tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.LOSSES, loss)
        train_op = tf.compat.v1.assign_add(step, 1)
        with tf.compat.v1.train.MonitoredSession(hooks=[hook]) as session:
            for _ in range(steps):
                session.run(train_op)


def test_lines_show_step_loss_rate_and_time_left():
    ticks = iter(range(1000))
    output = io.StringIO()
    train(progress.LinesHook(20, output, every_secs=4.0, clock=lambda: float(next(ticks))), 5)
    lines = output.getvalue().splitlines()
    assert lines[0].startswith("step ") and "/20, loss 0.2500, " in lines[0]
    assert lines[0].endswith(" s left")
    assert lines[-1].startswith("step 5/20, ")


def test_bar_ends_at_the_last_step():
    output = io.StringIO()
    train(progress.BarHook(5, output), 5)
    assert "5/5" in output.getvalue()


def test_a_log_gets_lines_and_silence_nothing():
    assert isinstance(progress.make_hook("auto", 5, io.StringIO()), progress.LinesHook)
    assert progress.make_hook("none", 5, io.StringIO()) is None


def test_evaluation_line_tells_the_telling_metrics():
    line = progress.evaluation_line(
        7, {"loss": 0.5, "auc": 0.9, "accuracy": 0.8, "label/mean": 0.2}
    )
    assert line == "evaluated at step 7: accuracy 0.8000, auc 0.9000, loss 0.5000"
