"""One version of a model, loaded and ready to answer on NumPy arrays.

It is loaded with the TF1 loader into one long-lived session of its own, which takes every
SavedModel: of Estimators and of `tf.saved_model.save`, with reference variables, tables and assets.
Neither Estimators nor Keras need be there.

    with contextlib.closing(servable.Servable("/models/census/3")) as model:
        model.predict({"x": np.ones([1, 3], np.float32)})

Checks come in the order of TF Serving and speak its sentences (predict_util.cc, classifier.cc,
regressor.cc); what the graph itself refuses is answered in the runtime's own words.
"""

import contextlib
import copy
import time
from typing import Any, Callable, Hashable, Iterator, Mapping, NamedTuple, Protocol, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.framework import ops

from export import checks, errors, example_features, signatures, small_runs

# Under which a run of several tasks keeps what a regression gives.
_VALUES = "values"
# RunOptions of the runs that small_runs speaks of; for all models, and never freed.
_IN_CALLING_THREAD = small_runs.options_buffer(inter_op_thread_pool=-1)
# Callers choose which outputs they ask for: no flood of choices may fill the memory.
_MAX_QUESTIONS = 1000


class _Question(NamedTuple):
    """A Predict request's names, once they are checked.

    Attributes:
        sources: tensor name -> the input that feeds it, in the order in which they are looked up.
        defaults: tensor name -> value of the inputs that were not sent.
        aliases: the outputs to compute.
        fetches: their tensors.
    """

    sources: dict[str, str]
    defaults: dict[str, np.ndarray]
    aliases: list[str]
    fetches: list[str]


# Runs a session: tensor name -> value to feed, the tensors to fetch (each once), the milliseconds it may take (0 for no
# limit) -> the values of what was fetched.
RunFn = Callable[[Mapping[str, np.ndarray], Sequence[str], int], list[np.ndarray]]


class WrappedRun(Protocol):
    """What stands between the calls and the session, such as what batches them."""

    def __call__(
        self, feeds: Mapping[str, np.ndarray], fetches: Sequence[str], timeout_ms: int
    ) -> list[np.ndarray]:
        """See RunFn."""

    def close(self) -> None:
        """Ends what waits for the session, which is closed next."""


class Servable:
    """A loaded SavedModel. All methods may be called from several threads at once.

    Attributes:
        path: the directory it was loaded from.
        signatures: name -> signatures.Signature, what it can be asked.
        example_features: name -> what the graph's parser of Examples looks for; empty if it has none.
        signature_def_map_bytes: name -> serialized `tensorflow.SignatureDef`, for answers to
            GetModelMetadata.
    """

    def __init__(
        self,
        path: str,
        tags: Sequence[str] = signatures.SERVE_TAGS,
        on_run: Callable[[float], None] | None = None,
        check_method_names: bool = False,
        wrap_run: Callable[[str, RunFn], WrappedRun | None] | None = None,
        session_config: tf.compat.v1.ConfigProto | None = None,
    ) -> None:
        """Loads the model: the graph, its variables, its assets and its tables.

        Args:
            path: the directory of the SavedModel.
            tags: of the meta graph.
            on_run: is told the seconds of each run that succeeds, in the thread of the call.
            check_method_names: whether a signature answers only the call that its `method_name` is
                for; TF2 exports, which always say predict, then answer Predict alone.
            wrap_run: directory, and what runs the session -> what calls run in its place; None to
                leave it as it is.
            session_config: of the session; None for TensorFlow's own.

        Raises:
            errors.ServableError: it cannot be loaded, or `wrap_run` refuses it.
        """
        loader = signatures.open_saved_model(path)
        meta_graph = signatures.find_meta_graph(loader, tags)
        self._describe(path, meta_graph, on_run, check_method_names)
        self._tensors: dict[str, tuple[Any, Any]] = {}
        self._small_runs = small_runs.SmallRuns(meta_graph.graph_def)
        self._session: Any = tf.compat.v1.Session(graph=tf.Graph(), config=session_config)
        try:
            loader.load(self._session, sorted(tags))
            # A graph without variables, tables and assets has not reached the runtime yet.
            self._session._extend_graph()
            signatures.check_tensors(self._definitions, self._session.graph)
            self._wrapped = wrap_run(path, self._run_session) if wrap_run else None
        except Exception as error:
            self._session.close()
            raise _load_error(error) from error

    def _describe(
        self,
        path: str,
        meta_graph: Any,
        on_run: Callable[[float], None] | None,
        check_method_names: bool,
    ) -> None:
        """Remembers what a call needs to know of the model."""
        self.path = path
        self._on_run = on_run
        self._check_method_names = check_method_names
        self.signatures = signatures.from_meta_graph(meta_graph)
        self.example_features = example_features.read(meta_graph.graph_def)
        self._definitions = {
            name: copy.deepcopy(definition) for name, definition in meta_graph.signature_def.items()
        }
        self.signature_def_map_bytes = {
            name: definition.SerializeToString() for name, definition in self._definitions.items()
        }
        self._defaults = {
            name: {alias: tf.make_ndarray(value) for alias, value in definition.defaults.items()}
            for name, definition in self._definitions.items()
        }
        self._questions: dict[Hashable, _Question] = {}

    def predict(
        self,
        inputs: Mapping[str, np.ndarray],
        signature_name: str = "",
        output_filter: Sequence[str] = (),
        timeout_ms: int = 0,
    ) -> dict[str, np.ndarray]:
        """Runs one signature (TF Serving: predict_util.cc).

        Args:
            inputs: input name -> array, of the declared dtype; strings as an object array of bytes.
                The declared shape is not compared, only the graph's operations object. Values are
                looked up one by one, in sorted order of their names, so that a mapping may decode
                them late and raise ServableError.
            signature_name: empty for `serving_default`.
            output_filter: the outputs to compute; empty for all.
            timeout_ms: time limit of the run in milliseconds; 0 for none.

        Returns:
            output name -> array; strings as an object array of bytes.

        Raises:
            errors.ServableError: with the codes and texts of TF Serving.
        """
        key = signature_name or signatures.DEFAULT_NAME
        names = (key, frozenset(inputs), tuple(output_filter))
        question = self._questions.get(names)
        if question is None:
            question = self._ask(key, inputs, output_filter)
            if len(self._questions) >= _MAX_QUESTIONS:
                self._questions.clear()
            self._questions[names] = question
        feeds = {name: inputs[alias] for name, alias in question.sources.items()}
        feeds.update(question.defaults)
        return dict(zip(question.aliases, self._run(feeds, question.fetches, timeout_ms)))

    def classify(
        self, serialized_examples: Sequence[bytes], signature_name: str = "", timeout_ms: int = 0
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Classifies serialized `tf.Example`s (TF Serving: classifier.cc).

        Args:
            serialized_examples: `[n]` bytes.
            signature_name: empty for `serving_default`.
            timeout_ms: time limit of the run in milliseconds; 0 for none.

        Returns:
            labels `[n, classes]` object array of bytes and scores `[n, classes]` float32; None for
            the one that the signature lacks.

        Raises:
            errors.ServableError: with the codes and texts of TF Serving.
        """
        key = signature_name or signatures.DEFAULT_NAME
        definition = checks.example_signature(self._definitions, key)
        feed, names = checks.classify_tensors(definition, self._check_method_names)
        fetches = [definition.outputs[name].name for name in names]
        arrays = self._run_examples({feed}, serialized_examples, fetches, timeout_ms)
        return _classification(dict(zip(names, arrays)), len(serialized_examples))

    def regress(
        self, serialized_examples: Sequence[bytes], signature_name: str = "", timeout_ms: int = 0
    ) -> np.ndarray:
        """Gives one number for each serialized `tf.Example` (TF Serving: regressor.cc).

        Args:
            serialized_examples: `[n]` bytes.
            signature_name: empty for `serving_default`.
            timeout_ms: time limit of the run in milliseconds; 0 for none.

        Returns:
            `[n]` float32.

        Raises:
            errors.ServableError: with the codes and texts of TF Serving.
        """
        key = signature_name or signatures.DEFAULT_NAME
        definition = checks.example_signature(self._definitions, key)
        feed, fetch = checks.regress_tensors(definition, self._check_method_names)
        (values,) = self._run_examples({feed}, serialized_examples, [fetch], timeout_ms)
        checks.check_regression(values, len(serialized_examples))
        return values.reshape(-1)

    def multi_inference(
        self,
        serialized_examples: Sequence[bytes],
        tasks: Sequence[checks.Task],
        timeout_ms: int = 0,
    ) -> list[Any]:
        """Classifies and regresses the same `tf.Example`s in one run (multi_inference.cc).

        Args:
            serialized_examples: `[n]` bytes.
            tasks: the signatures to answer from, each with its method.
            timeout_ms: time limit of the run in milliseconds; 0 for none.

        Returns:
            for each task what `classify` or `regress` returns.

        Raises:
            errors.ServableError: with the codes and texts of TF Serving.
        """
        feeds: set[str] = set()
        wanted: list[dict[str, str]] = []
        for task, definition in zip(tasks, checks.task_signatures(self._definitions, tasks)):
            if task.method_name == checks.CLASSIFY_METHOD:
                feed, names = checks.classify_tensors(definition, self._check_method_names)
                wanted.append({name: definition.outputs[name].name for name in names})
            else:
                feed, fetch = checks.regress_tensors(definition, self._check_method_names)
                wanted.append({_VALUES: fetch})
            feeds.add(feed)
        fetches = [tensor for tensors in wanted for tensor in tensors.values()]
        arrays = iter(self._run_examples(feeds, serialized_examples, fetches, timeout_ms))
        results: list[Any] = []
        for tensors in wanted:
            outputs = {name: next(arrays) for name in tensors}
            if _VALUES in outputs:
                checks.check_regression(outputs[_VALUES], len(serialized_examples))
                results.append(outputs[_VALUES].reshape(-1))
            else:
                results.append(_classification(outputs, len(serialized_examples)))
        return results

    def close(self) -> None:
        """Frees the model. No call may be under way or follow; closing twice does no harm."""
        if self._wrapped is not None:
            self._wrapped.close()
        self._session.close()

    def free(self) -> None:
        """Frees what a closed model still holds: its variables, and its graph without the garbage collector."""
        graph = self._session.graph
        self._tensors.clear()
        self._session = None
        ops.dismantle_graph(graph)

    def _run_examples(
        self, feeds: set[str], examples: Sequence[bytes], fetches: list[str], timeout_ms: int
    ) -> list[np.ndarray]:
        """Feeds the Examples to each tensor of `feeds`; there is usually one."""
        if len(examples) == 0:
            raise errors.invalid_argument("Input is empty.")
        vector = np.empty([len(examples)], dtype=object)
        vector[:] = examples
        return self._run(dict.fromkeys(feeds, vector), fetches, timeout_ms)

    def _ask(
        self, key: str, inputs: Mapping[str, np.ndarray], output_filter: Sequence[str]
    ) -> _Question:
        """Checks a Predict request; what it looks up again and again is the same for the same names."""
        definition = checks.predict_signature(self._definitions, key, self._check_method_names)
        feeds = checks.predict_feeds(definition, inputs, self._defaults[key])
        aliases = checks.predict_outputs(definition, output_filter)
        sources = {
            definition.inputs[alias].name: alias
            for alias in sorted(definition.inputs)
            if alias in inputs
        }
        return _Question(
            sources,
            {name: value for name, value in feeds.items() if name not in sources},
            aliases,
            [definition.outputs[alias].name for alias in aliases],
        )

    def _run(
        self, feeds: Mapping[str, np.ndarray], fetches: list[str], timeout_ms: int
    ) -> list[np.ndarray]:
        """Runs the session, or what stands before it.

        One tensor fetched under two names is computed once and given twice.
        """
        unique = list(dict.fromkeys(fetches))
        started = time.perf_counter()
        values = (self._wrapped or self._run_session)(feeds, unique, timeout_ms)
        if self._on_run is not None:
            self._on_run(time.perf_counter() - started)
        if len(unique) == len(fetches):
            return values
        arrays = dict(zip(unique, values))
        return [arrays[name] for name in fetches]

    def _run_session(
        self, feeds: Mapping[str, np.ndarray], fetches: Sequence[str], timeout_ms: int
    ) -> list[np.ndarray]:
        """Runs the session below `Session.run`, which checks static shapes as TF Serving does not."""
        fed = {
            self._tensor(name, "FeedInputs: unable to find feed output {}")[0]: value
            for name, value in feeds.items()
        }
        fetched = [self._tensor(name, "FetchOutputs node {}: not found") for name in fetches]
        outputs = [output for output, _ in fetched]
        key = (*fetches, *[(name, value.dtype, value.shape) for name, value in feeds.items()])
        started = time.perf_counter()
        try:
            if self._small_runs.is_small(key):
                values = self._session._call_tf_sessionrun(
                    _IN_CALLING_THREAD, fed, outputs, [], None
                )
            else:
                with _run_options(timeout_ms) as options:
                    values = self._session._call_tf_sessionrun(options, fed, outputs, [], None)
        except tf.errors.OpError as error:
            raise errors.ServableError(errors.Code(error.error_code), error.message) from error
        except UnicodeDecodeError as error:
            # The runtime quotes the caller's bytes, and the binding cannot turn them into a string.
            # Only what the caller sent is quoted, so it is the argument that was wrong.
            text = error.object.decode("utf-8", "surrogateescape")
            raise errors.invalid_argument(text) from error
        self._small_runs.add(key, time.perf_counter() - started)
        return [
            value if dtype is None and type(value) is np.ndarray else np.asarray(value, dtype)
            for value, (_, dtype) in zip(values, fetched)
        ]

    def _tensor(self, name: str, sentence: str) -> tuple[Any, Any]:
        """The runtime's handle of a tensor, and the NumPy type that its values are kept in."""
        if name not in self._tensors:
            try:
                tensor = self._session.graph.as_graph_element(name, allow_operation=False)
            except (KeyError, ValueError) as error:
                text = sentence.format(name)
                raise errors.ServableError(errors.Code.NOT_FOUND, text) from error
            dtype = object if tensor.dtype == tf.string else None
            self._tensors[name] = (tensor._as_tf_output(), dtype)
        return self._tensors[name]


def _classification(
    outputs: Mapping[str, np.ndarray], examples: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Labels and scores of a run, each None if the signature lacks it, once they are checked."""
    labels, scores = outputs.get(checks.CLASSES), outputs.get(checks.SCORES)
    checks.check_classification(labels, scores, examples)
    return labels, scores


@contextlib.contextmanager
def _run_options(timeout_ms: int) -> Iterator[Any]:
    """The runtime's own buffer of RunOptions with this time limit, or None without a limit."""
    if timeout_ms <= 0:
        yield None
        return
    buffer = small_runs.options_buffer(timeout_in_ms=timeout_ms)
    try:
        yield buffer
    finally:
        pywrap_tf_session.TF_DeleteBuffer(buffer)


def _load_error(error: Exception) -> errors.ServableError:
    if isinstance(error, errors.ServableError):
        return error
    if isinstance(error, tf.errors.OpError):
        return errors.ServableError(errors.Code(error.error_code), error.message)
    if isinstance(error, ValueError) and "is not a valid checkpoint" in str(error):
        return errors.ServableError(errors.Code.NOT_FOUND, str(error))
    return errors.ServableError(errors.Code.INTERNAL, f"{type(error).__name__}: {error}")
