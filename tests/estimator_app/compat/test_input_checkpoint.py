"""Training with CheckpointInputPipelineHook resumes at the very next batch; ours is held against it on 2.15 as well."""

import pytest
import tensorflow as tf

from estimator_app import compat
from estimator_app.compat.input_checkpoint import CheckpointInputPipelineHook


class Interruption(Exception):
    pass


class InterruptAfter(tf.compat.v1.train.SessionRunHook):
    """Raises after so many steps; no hook's `end` is called then."""

    def __init__(self, steps):
        self._left = steps

    def after_run(self, run_context, run_values):
        self._left -= 1
        if not self._left:
            raise Interruption


class Job:
    """An Estimator that does nothing but note which elements it has seen."""

    def __init__(self, model_dir, dataset=None, **config):
        self.seen = []
        self._dataset = dataset or (lambda: tf.data.Dataset.range(100))
        config = config or {"save_checkpoints_steps": 2}
        self.estimator = compat.estimator.Estimator(
            self._model_fn, str(model_dir), compat.estimator.RunConfig(**config)
        )

    def input_fn(self):
        return self._dataset().map(lambda x: ({"x": x}, x)).prefetch(3)

    def _model_fn(self, features, labels, mode):
        def note(value):
            self.seen.append(int(value))
            return value

        noted = tf.compat.v1.py_func(note, [features["x"]], tf.int64)
        loss = tf.cast(noted, tf.float32) * tf.compat.v1.get_variable("w", initializer=0.0)
        train = None
        if mode == "train":
            step = tf.compat.v1.train.get_global_step()
            train = tf.group(loss, tf.compat.v1.assign_add(step, 1))
        return compat.estimator.EstimatorSpec(mode, loss=loss, train_op=train)

    def train(self, steps, hook=None, interrupt_after=None):
        """Trains, and returns the elements that were seen by it."""
        self.seen.clear()
        hooks = [hook or CheckpointInputPipelineHook(self.estimator)]
        if interrupt_after:
            with pytest.raises(Interruption):
                self.estimator.train(self.input_fn, hooks + [InterruptAfter(interrupt_after)])
        else:
            self.estimator.train(self.input_fn, hooks, steps=steps)
        return list(self.seen)


def test_training_goes_on_with_the_next_element(tmp_path):
    seen = [Job(tmp_path).train(3) for _ in range(3)]
    assert seen == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_one_hook_object_serves_several_trainings(tmp_path):
    job = Job(tmp_path)
    hook = CheckpointInputPipelineHook(job.estimator)
    assert [job.train(3, hook) for _ in range(3)] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


@pytest.mark.parametrize("config", [{"save_checkpoints_steps": 4}, {"save_checkpoints_secs": 600}])
def test_after_an_interruption_input_and_model_are_of_one_step(tmp_path, config):
    """Saved at 0, at 3 (the end), then every 4 steps or not at all: what came after that is seen again, no more."""
    assert Job(tmp_path, **config).train(3) == [0, 1, 2]
    assert Job(tmp_path, **config).train(0, interrupt_after=6) == [3, 4, 5, 6, 7, 8]
    resumed = Job(tmp_path, **config)
    step = resumed.estimator.get_variable_value("global_step")
    assert step == (7 if "save_checkpoints_steps" in config else 3)
    assert resumed.train(2) == [step, step + 1]


def test_shuffled_epoch_is_completed_without_repetition(tmp_path):
    def dataset():
        return tf.data.Dataset.range(20).shuffle(20)

    seen = [Job(tmp_path, dataset).train(steps) for steps in (7, 7, 6)]
    assert sorted(sum(seen, [])) == list(range(20))
    assert Job(tmp_path, dataset).train(5) == []  # an input that has ended stays ended


def test_evaluation_between_trainings_leaves_the_input_alone(tmp_path):
    job = Job(tmp_path)
    job.train(2)
    job.estimator.evaluate(job.input_fn, steps=5)
    assert job.train(2) == [2, 3]


def test_hook_of_a_train_spec(tmp_path):
    job = Job(tmp_path)
    hook = CheckpointInputPipelineHook(job.estimator)
    compat.estimator.train_and_evaluate(
        job.estimator,
        compat.estimator.TrainSpec(job.input_fn, max_steps=4, hooks=[hook]),
        compat.estimator.EvalSpec(job.input_fn, steps=1, throttle_secs=0),
    )
    assert job.train(1) == [4]


def test_listeners_of_the_training_are_called(tmp_path):
    class Listener(tf.compat.v1.train.CheckpointSaverListener):
        saved: list[int] = []

        def after_save(self, session, global_step_value):
            self.saved.append(int(global_step_value))

    job = Job(tmp_path)
    hook = CheckpointInputPipelineHook(job.estimator)
    job.estimator.train(job.input_fn, [hook], steps=3, saving_listeners=[Listener()])
    assert Listener.saved == [0, 2, 3]
    job.estimator.train(job.input_fn, [hook], steps=3)
    assert Listener.saved == [0, 2, 3]


def test_states_are_kept_as_long_as_checkpoints(tmp_path):
    for _ in range(2):
        Job(tmp_path, save_checkpoints_steps=1, keep_checkpoint_max=2).train(3)
    names = {path.name for path in tmp_path.glob("*.index")}
    assert names == {f"{kind}.ckpt-{step}.index" for kind in ("model", "input") for step in (5, 6)}


def test_without_a_state_of_the_step_the_newest_before_it_is_taken_and_said(tmp_path, caplog):
    Job(tmp_path).train(4)
    for path in tmp_path.glob("input.ckpt-4.*"):
        path.unlink()
    tf.get_logger().addHandler(caplog.handler)
    try:
        assert Job(tmp_path).train(2) == [2, 3]
    finally:
        tf.get_logger().removeHandler(caplog.handler)
    assert "No state of the input was saved at step 4; it goes on from step 2" in caplog.text


def test_worker_that_is_not_chief_saves_its_input_only(tmp_path, monkeypatch):
    cluster = '{"chief": ["localhost:1"], "worker": ["localhost:2"], "ps": ["localhost:3"]}'
    monkeypatch.setenv(
        "TF_CONFIG", f'{{"cluster": {cluster}, "task": {{"type": "worker", "index": 0}}}}'
    )
    job = Job(tmp_path)
    hook = CheckpointInputPipelineHook(job.estimator)
    with tf.Graph().as_default():
        iterator = tf.compat.v1.data.make_initializable_iterator(tf.data.Dataset.range(5))
        element = iterator.get_next()
        step = tf.compat.v1.train.get_or_create_global_step()
        train = tf.group(element, tf.compat.v1.assign_add(step, 1))

        class Initialize(tf.compat.v1.train.SessionRunHook):
            def after_create_session(self, session, coord):
                session.run(iterator.initializer)

        with tf.compat.v1.train.MonitoredSession(hooks=[hook, Initialize()]) as session:
            for _ in range(3):
                session.run(train)
    names = {path.name for path in tmp_path.glob("*.index")}
    assert names == {f"input_worker_0.ckpt-{step}.index" for step in (0, 2, 3)}


@pytest.mark.parametrize(
    "config, sentence",
    [
        ({"save_checkpoints_steps": None, "save_checkpoints_secs": None}, "a RunConfig that saves"),
        (
            {"train_distribute": tf.distribute.OneDeviceStrategy("/cpu:0")},
            "without train_distribute",
        ),
    ],
)
def test_config_that_cannot_work_is_refused(tmp_path, config, sentence):
    with pytest.raises(ValueError, match=f"Expected .*{sentence}"):
        CheckpointInputPipelineHook(Job(tmp_path, **config).estimator)


def test_unknown_policy_is_refused(tmp_path):
    with pytest.raises(ValueError, match="found 'never'. Use one of them."):
        CheckpointInputPipelineHook(Job(tmp_path).estimator, external_state_policy="never")


def test_input_without_a_dataset_is_refused(tmp_path):
    job = Job(tmp_path)
    with pytest.raises(ValueError, match="found no iterator in the graph"):
        job.estimator.train(
            lambda: ({"x": tf.constant(1, tf.int64)}, tf.constant(1)),
            [CheckpointInputPipelineHook(job.estimator)],
            steps=1,
        )
