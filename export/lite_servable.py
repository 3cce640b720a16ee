"""A version served from its `model.tflite`, by TensorFlow's own interpreter.

    model = lite_servable.load("/models/census/3", interpreters=4)  # or from its saved_model.pb
    model.predict({"x": np.ones([1, 3], np.float32)})

Sentences are those of TF Serving's tflite_session.cc.
"""

from collections.abc import Callable, Mapping, Sequence
import logging
import os
import queue
import threading
from typing import Any
import warnings

import numpy as np
import tensorflow as tf

from export import errors, lite_signatures, servable

_logger = logging.getLogger(__name__)

_FILE = "model.tflite"
_making = threading.Lock()


def load(path: str, interpreters: int, **how: Any) -> servable.Servable:
    """Loads the TFLite file of a version if it has one, else its SavedModel.

    Args:
        path: the directory of the version.
        interpreters: how many calls of a TFLite model run at once.
        **how: see servable.Servable.

    Raises:
        errors.ServableError: it cannot be loaded.
    """
    if not tf.io.gfile.exists(os.path.join(path, _FILE)):
        return servable.Servable(path, **how)
    return LiteServable(
        path, interpreters, **{name: how[name] for name in _APPLICABLE if name in how}
    )


# What else tells how a SavedModel is loaded: a TFLite file has neither tags nor a session.
_APPLICABLE = ("on_run", "check_method_names", "wrap_run")


class LiteServable(servable.Servable):
    """A loaded TFLite file. A run cannot be stopped; a time limit bounds the wait for an interpreter."""

    def __init__(
        self,
        path: str,
        interpreters: int = 1,
        on_run: Callable[[float], None] | None = None,
        check_method_names: bool = False,
        wrap_run: Callable[[str, servable.RunFn], servable.WrappedRun | None] | None = None,
    ) -> None:
        """Loads the file; see load and servable.Servable."""
        file = os.path.join(path, _FILE)
        try:
            with tf.io.gfile.GFile(file, "rb") as opened:
                content = opened.read()
        except tf.errors.OpError as error:
            raise errors.ServableError(errors.Code(error.error_code), error.message) from error
        made = [_make_interpreter(content) for _ in range(interpreters)]
        # As in a stack: the one that ran last has its tensors at hand.
        self._free: queue.LifoQueue[Any] = queue.LifoQueue()
        for interpreter in made:
            self._free.put(interpreter)
        inputs, outputs = made[0].get_input_details(), made[0].get_output_details()
        self._inputs = {detail["name"]: detail["index"] for detail in inputs}
        self._outputs = {detail["name"]: detail["index"] for detail in outputs}
        meta_graph = tf.compat.v1.MetaGraphDef()
        for name, definition in lite_signatures.read(content, inputs, outputs).items():
            meta_graph.signature_def[name].CopyFrom(definition)
        self._describe(path, meta_graph, on_run, check_method_names)
        self._wrapped = wrap_run(path, self._run_session) if wrap_run else None

    def close(self) -> None:
        """Ends what waits for an interpreter. No call may follow; closing twice does no harm."""
        if self._wrapped is not None:
            self._wrapped.close()

    def free(self) -> None:
        """Frees what a closed model still holds: its interpreters."""
        self._free = queue.LifoQueue()

    def _make_plan(
        self, feeds: tuple[str, ...], fetches: list[str], places: list[int] | None
    ) -> servable.Plan:
        return servable.Plan(feeds, fetches, [], [], [], places, False)

    def _run_plan(
        self, plan: servable.Plan, values: Sequence[np.ndarray], timeout_ms: int
    ) -> list[np.ndarray]:
        return self._run_session(dict(zip(plan.feeds, values)), plan.fetches, timeout_ms)

    def _run_session(
        self, feeds: Mapping[str, np.ndarray], fetches: Sequence[str], timeout_ms: int
    ) -> list[np.ndarray]:
        free = self._free
        try:
            interpreter = free.get(timeout=timeout_ms / 1e3 if timeout_ms else None)
        except queue.Empty as error:
            raise errors.ServableError(
                errors.Code.DEADLINE_EXCEEDED, "Timed out waiting for a TfLite interpreter"
            ) from error
        try:
            self._feed(interpreter, feeds)
            try:
                interpreter.invoke()
            except RuntimeError as error:
                _logger.error("%s: %s", self.path, error)
                raise _internal("Failed to invoke TfLite interpreter") from error
            values = [interpreter.get_tensor(self._outputs[name]) for name in fetches]
        finally:
            free.put(interpreter)
        return [
            value.astype(object) if value.dtype.kind == "S" else np.asarray(value)
            for value in values
        ]

    def _feed(self, interpreter: Any, feeds: Mapping[str, np.ndarray]) -> None:
        """Resizes the inputs to what is sent, and sets them."""
        sizes = {detail["index"]: detail["shape"] for detail in interpreter.get_input_details()}
        wanted = {self._inputs[name]: value.shape for name, value in feeds.items()}
        if any(tuple(sizes[index]) != shape for index, shape in wanted.items()):
            try:
                _resize(interpreter, wanted)
            except (RuntimeError, ValueError) as error:
                _logger.error("%s: %s", self.path, error)
                _resize(interpreter, sizes)  # It must be able to run what comes next.
                raise _internal("Failed to allocate tensors") from error
        for name, value in feeds.items():
            try:
                interpreter.set_tensor(self._inputs[name], value)
            except ValueError as error:
                raise errors.invalid_argument(str(error)) from error


def _resize(interpreter: Any, shapes: Mapping[int, Sequence[int]]) -> None:
    for index, shape in shapes.items():
        interpreter.resize_tensor_input(index, shape)
    interpreter.allocate_tensors()


def _make_interpreter(content: bytes) -> Any:
    """An interpreter that can run; each has tensors of its own and shares the file's bytes."""
    # Newer TensorFlow warns that its interpreter will move to a package of its own. Filters are the whole process's.
    with _making, warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        try:
            interpreter = tf.lite.Interpreter(model_content=content, num_threads=1)
        except ValueError as error:
            _logger.error("%s", error)
            raise errors.invalid_argument("Cannot build FlatBufferModel from buffer.") from error
        except RuntimeError as error:
            _logger.error("%s", error)
            raise _internal("Cannot build Interpreter from buffer.") from error
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:
        _logger.error("%s", error)
        raise _internal("Failed to allocate tensors") from error
    return interpreter


def _internal(text: str) -> errors.ServableError:
    return errors.ServableError(errors.Code.INTERNAL, text)
