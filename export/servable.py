"""One version of a model, loaded and ready to answer on NumPy arrays.

It is loaded with the TF1 loader into one long-lived session of its own, which takes every
SavedModel: of Estimators and of `tf.saved_model.save`, with reference variables, tables and assets.
Neither Estimators nor Keras need be there.

    with contextlib.closing(servable.Servable("/models/census/3")) as model:
        model.predict({"x": np.ones([1, 3], np.float32)})

Checks come in the order of TF Serving and speak its sentences (predict_util.cc, classifier.cc,
regressor.cc); what the graph itself refuses is answered in the runtime's own words.
"""

import copy
import dataclasses
import time
from typing import Any, Callable, Hashable, Mapping, NamedTuple, Protocol, Sequence

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


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What the session is told of each run that feeds and fetches the same tensors.

    Attributes:
        feeds: names of the tensors to feed, in the order of their values.
        fetches: names of the tensors to fetch, each once.
        fed: the runtime's handles of `feeds`.
        fetched: the runtime's handles of `fetches`.
        dtypes: the NumPy type that the values of each of `fetches` are kept in; None for its own.
        places: where among `fetches` each tensor stands that was asked for; None if they are these.
        is_bounded: see small_runs.BoundedTime.
    """

    feeds: tuple[str, ...]
    fetches: list[str]
    fed: list[Any]
    fetched: list[Any]
    dtypes: list[Any]
    places: list[int] | None
    is_bounded: bool


class _Question(NamedTuple):
    """A Predict request's names, once they are checked.

    Attributes:
        sources: the inputs that were sent, in the order in which they are looked up.
        defaults: values of the inputs that were not sent, which are fed after those.
        aliases: the outputs to compute.
        plan: of the run.
    """

    sources: list[str]
    defaults: list[np.ndarray]
    aliases: list[str]
    plan: Plan


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
        self._bounded_time = small_runs.BoundedTime(meta_graph.graph_def)
        self._small_runs = small_runs.SmallRuns()
        self._wrapped: WrappedRun | None = None
        self._session: Any = tf.compat.v1.Session(graph=tf.Graph(), config=session_config)
        try:
            loader.load(self._session, sorted(tags))
            # A graph without variables, tables and assets has not reached the runtime yet.
            self._session._extend_graph()
            signatures.check_tensors(self._definitions, self._session.graph)
            if wrap_run is not None:
                self._wrapped = wrap_run(path, self._run_session)
        except Exception as error:
            self.close()
            self.free()
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
        self._plans: dict[tuple[tuple[str, ...], tuple[str, ...]], Plan] = {}

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
            _keep(self._questions, names, question)
        values = [inputs[alias] for alias in question.sources]
        values += question.defaults
        return dict(zip(question.aliases, self._run(question.plan, values, timeout_ms)))

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
        self._questions.clear()
        self._plans.clear()
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
        plan = self._plan(tuple(sorted(feeds)), tuple(fetches))
        return self._run(plan, [vector] * len(feeds), timeout_ms)

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
        defaults = {name: value for name, value in feeds.items() if name not in sources}
        plan = self._plan(
            (*sources, *defaults), tuple([definition.outputs[alias].name for alias in aliases])
        )
        return _Question(list(sources.values()), list(defaults.values()), aliases, plan)

    def _plan(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Plan:
        """The plan of a run; one tensor fetched under two names is computed once and given twice."""
        names = (feeds, fetches)
        plan = self._plans.get(names)
        if plan is None:
            unique = list(dict.fromkeys(fetches))
            places = None if len(unique) == len(fetches) else [unique.index(n) for n in fetches]
            plan = self._make_plan(feeds, unique, places)
            _keep(self._plans, names, plan)
        return plan

    def _make_plan(
        self, feeds: tuple[str, ...], fetches: list[str], places: list[int] | None
    ) -> Plan:
        """A plan of tensors of the session's graph, each fetched once."""
        fed = [self._tensor(name, "FeedInputs: unable to find feed output {}") for name in feeds]
        fetched = [self._tensor(name, "FetchOutputs node {}: not found") for name in fetches]
        return Plan(
            feeds,
            fetches,
            [tensor._as_tf_output() for tensor in fed],
            [tensor._as_tf_output() for tensor in fetched],
            [object if tensor.dtype == tf.string else None for tensor in fetched],
            places,
            self._bounded_time.holds(feeds, fetches),
        )

    def _run(self, plan: Plan, values: Sequence[np.ndarray], timeout_ms: int) -> list[np.ndarray]:
        """Runs the session, or what stands before it."""
        started = time.perf_counter()
        if self._wrapped is None:
            arrays = self._run_plan(plan, values, timeout_ms)
        else:
            arrays = self._wrapped(dict(zip(plan.feeds, values)), plan.fetches, timeout_ms)
        if self._on_run is not None:
            self._on_run(time.perf_counter() - started)
        return arrays if plan.places is None else [arrays[place] for place in plan.places]

    def _run_session(
        self, feeds: Mapping[str, np.ndarray], fetches: Sequence[str], timeout_ms: int
    ) -> list[np.ndarray]:
        """Runs the session for what stands before it; see RunFn."""
        plan = self._plan(tuple(feeds), tuple(fetches))
        return self._run_plan(plan, list(feeds.values()), timeout_ms)

    def _run_plan(
        self, plan: Plan, values: Sequence[np.ndarray], timeout_ms: int
    ) -> list[np.ndarray]:
        """Runs the session below `Session.run`, which checks static shapes as TF Serving does not."""
        key = (plan, *[(value.dtype, value.shape) for value in values]) if plan.is_bounded else None
        buffer = None
        if key is not None and self._small_runs.is_small(key):
            options = _IN_CALLING_THREAD
        elif timeout_ms > 0:
            options = buffer = small_runs.options_buffer(timeout_in_ms=timeout_ms)
        else:
            options = None
        fed = dict(zip(plan.fed, values))
        started = time.perf_counter()
        try:
            arrays = self._session._call_tf_sessionrun(options, fed, plan.fetched, [], None)
        except tf.errors.OpError as error:
            raise errors.ServableError(errors.Code(error.error_code), error.message) from error
        except UnicodeDecodeError as error:
            # The runtime quotes the caller's bytes, and the binding cannot turn them into a string.
            # Only what the caller sent is quoted, so it is the argument that was wrong.
            text = error.object.decode("utf-8", "surrogateescape")
            raise errors.invalid_argument(text) from error
        finally:
            if buffer is not None:
                pywrap_tf_session.TF_DeleteBuffer(buffer)
        if key is not None:
            self._small_runs.add(key, time.perf_counter() - started)
        return [
            array if dtype is None and type(array) is np.ndarray else np.asarray(array, dtype)
            for array, dtype in zip(arrays, plan.dtypes)
        ]

    def _tensor(self, name: str, sentence: str) -> tf.Tensor:
        """A tensor of the graph by its name."""
        try:
            return self._session.graph.as_graph_element(name, allow_operation=False)
        except (KeyError, ValueError) as error:
            text = sentence.format(name)
            raise errors.ServableError(errors.Code.NOT_FOUND, text) from error


def _keep(answers: dict[Any, Any], names: Hashable, answer: Any) -> None:
    """Remembers an answer by its names; begins anew where there are too many."""
    if len(answers) >= _MAX_QUESTIONS:
        answers.clear()
    answers[names] = answer


def _classification(
    outputs: Mapping[str, np.ndarray], examples: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Labels and scores of a run, each None if the signature lacks it, once they are checked."""
    labels, scores = outputs.get(checks.CLASSES), outputs.get(checks.SCORES)
    checks.check_classification(labels, scores, examples)
    return labels, scores


def _load_error(error: Exception) -> errors.ServableError:
    if isinstance(error, errors.ServableError):
        return error
    if isinstance(error, tf.errors.OpError):
        return errors.ServableError(errors.Code(error.error_code), error.message)
    if isinstance(error, ValueError) and "is not a valid checkpoint" in str(error):
        return errors.ServableError(errors.Code.NOT_FOUND, str(error))
    return errors.ServableError(errors.Code.INTERNAL, f"{type(error).__name__}: {error}")
