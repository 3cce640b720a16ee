"""Settings of the model server."""

import dataclasses
import os

from estimator_app.serving import base_paths

_MAX_PORT = 65535


@dataclasses.dataclass(frozen=True)
class ServerSettings:
    """What is served, and where.

    Names, defaults and messages are those of tensorflow_model_server (TF Serving: server.h and
    main.cc); `host`, `grace_secs`, `rest_api_ssl_config_file`, `rest_api_enable_browser_page`,
    `rest_api_max_body_bytes`, `rest_api_client_timeout_in_ms`, `load_retry_multiplier`, `settle_secs`,
    `forget_ended_secs`, `lazy_loading`, `model_memory_limit_mb`, `enable_model_list`, port 0 without a
    socket and REST port -1 are additions.

    Attributes:
        host: address to listen on. The stock server listens on all of them (`0.0.0.0`).
        num_processes: how many processes share the ports.
        reuse_port: whether other servers that say so, too, may listen on the same ports.
        port: gRPC port; 0 picks a free one, or turns TCP off if there is a socket.
        grpc_socket_path: Unix socket to listen on as well; empty for none.
        grpc_channel_arguments: `name=value` pairs with commas between them, for gRPC's own server.
        ssl_config_file: SSLConfig text for gRPC; empty for no TLS.
        rest_api_ssl_config_file: the same for REST.
        enable_grpc_healthcheck_service: whether `grpc.health.v1` answers.
        enable_profiler: whether `tensorflow.ProfilerService` answers.
        enable_signature_method_name_check: whether a signature answers only the call that its
            method is for.
        enable_serialization_as_tensor_content: whether Predict answers numbers in `tensor_content`.
        rest_api_port: REST port; 0 turns REST off, -1 picks a free one.
        rest_api_num_threads: how many REST calls run at once; 0 for four per CPU.
        rest_api_enable_cors_support: whether pages of other origins may read REST answers.
        rest_api_enable_browser_page: whether the REST port has a page for people at `/`.
        rest_api_timeout_in_ms: time limit of the model's run for one REST call, in milliseconds.
        rest_api_max_body_bytes: how large the body of a REST request may be, also once it is unpacked.
        rest_api_client_timeout_in_ms: how long a REST client may make no headway with a request's
            head, its body or the answer, in milliseconds; after that its connection is closed.
        model_config_file: `ModelServerConfig` as protobuf text, for several models, version
            policies and labels. The next two then count for nothing.
        model_config_file_poll_wait_seconds: seconds between two reads of that file; 0 reads it
            once.
        model_name: the name that requests use.
        model_base_path: absolute path, or URI, of the directory that holds the versions.
        allow_version_labels_for_unavailable_models: whether a new label may name a version that is
            not available.
        file_system_poll_wait_seconds: seconds between two looks at the base path; 0 looks once,
            a negative number never.
        max_num_load_retries: how often a load that failed is tried again.
        load_retry_interval_micros: microseconds between two tries; negative for none.
        load_retry_multiplier: how many times the wait before each further wait between two tries is.
        num_load_threads: how many versions load at once while the server serves; 0 for one after
            the other.
        num_unload_threads: how many versions are unloaded at once; 0 for one after the other.
        flush_filesystem_caches: read for the stock server's command lines; nothing is cached here.
        settle_secs: for how long the files of a version must not have changed before it is loaded,
            in seconds; 0 loads every version that is there.
        lazy_loading: whether versions are loaded when they are first asked.
        model_memory_limit_mb: how much memory they may then take, in MiB by the sizes of their files; what
            was asked longest ago goes. 0 for without limit.
        enable_model_list: whether one call lists all models and versions.
        forget_ended_secs: seconds after which a version that ended is no longer told of; 0 for never.
        saved_model_tags: of the meta graph to load, with commas between; none for `serve`.
        tensorflow_session_parallelism: threads of a session, for both of the next; 0 for one per
            CPU.
        tensorflow_intra_op_parallelism: threads within one operation.
        tensorflow_inter_op_parallelism: operations that run side by side.
        tensorflow_session_config_file: TensorFlow's `ConfigProto` as text; what flags say counts
            before what it says.
        per_process_gpu_memory_fraction: share of each GPU's memory to take, 0 to 1; 0 leaves that
            to TensorFlow.
        mixed_precision: `bfloat16` for automatic mixed precision on CPUs that have it.
        xla_cpu_compilation_enabled: read for the stock server's command lines; models that ask for
            XLA always get it.
        xla_gpu_compilation_enabled: likewise.
        remove_unused_fields_from_bundle_metagraph: likewise; what is not used is never kept.
        skip_initialize_tpu: likewise; there is no TPU.
        platform_config_file: refused.
        thread_pool_factory_config_file: refused.
        use_alts_credentials: refused.
        prefer_tflite_model: whether a version's `model.tflite` is served if it has one.
        num_tflite_pools: how many calls of such a model run at once; 0 for one per CPU.
        num_tflite_interpreters_per_pool: how many times that many.
        enable_model_warmup: whether a version's warm-up requests are run before it serves.
        num_request_iterations_for_warmup: how often each of them is run; 0 or less counts as 1.
        grpc_max_threads: how many gRPC calls run at once; 0 for four per CPU.
        enable_batching: whether requests for the same tensors of a version run together.
        batching_parameters_file: path of a `BatchingParameters` as text; empty for the defaults.
        enable_per_model_batching_parameters: whether a version has them in `batching_params.pbtxt`
            in its directory. One without that file is not batched.
        monitoring_config_file: path of a `MonitoringConfig` as text; empty for no page of metrics.
        request_log_prefix: absolute path, or URI, that the files begin with in which requests are
            logged; empty for no log. With a `model_config_file`, its `logging_config`s say that.
        request_log_sampling_rate: share of the requests that are logged, 0 to 1.
        request_log_max_files: how many files of this process a model's log keeps, 1000 records
            each; 0 for all.
        grace_secs: how long calls under way may go on after a stop, in seconds.
    """

    host: str = "127.0.0.1"
    num_processes: int = 1
    reuse_port: bool = False
    port: int = 8500
    grpc_socket_path: str = ""
    grpc_channel_arguments: str = ""
    ssl_config_file: str = ""
    rest_api_ssl_config_file: str = ""
    enable_grpc_healthcheck_service: bool = False
    enable_profiler: bool = True
    enable_signature_method_name_check: bool = False
    enable_serialization_as_tensor_content: bool = False
    rest_api_port: int = 0
    rest_api_num_threads: int = 0
    rest_api_enable_cors_support: bool = False
    rest_api_enable_browser_page: bool = False
    rest_api_timeout_in_ms: int = 30000
    rest_api_max_body_bytes: int = 2**27
    rest_api_client_timeout_in_ms: int = 60000
    model_config_file: str = ""
    model_config_file_poll_wait_seconds: int = 0
    model_name: str = "default"
    model_base_path: str = ""
    allow_version_labels_for_unavailable_models: bool = False
    file_system_poll_wait_seconds: int = 1
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000
    load_retry_multiplier: float = 1.0
    num_load_threads: int = 0
    num_unload_threads: int = 0
    flush_filesystem_caches: bool = True
    settle_secs: float = 0.0
    lazy_loading: bool = False
    model_memory_limit_mb: int = 0
    enable_model_list: bool = False
    forget_ended_secs: float = 0.0
    saved_model_tags: str = "serve"
    tensorflow_session_parallelism: int = 0
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    tensorflow_session_config_file: str = ""
    per_process_gpu_memory_fraction: float = 0.0
    mixed_precision: str = ""
    xla_cpu_compilation_enabled: bool = False
    xla_gpu_compilation_enabled: bool = False
    remove_unused_fields_from_bundle_metagraph: bool = True
    skip_initialize_tpu: bool = False
    platform_config_file: str = ""
    thread_pool_factory_config_file: str = ""
    use_alts_credentials: bool = False
    prefer_tflite_model: bool = False
    num_tflite_pools: int = 0
    num_tflite_interpreters_per_pool: int = 1
    enable_model_warmup: bool = True
    num_request_iterations_for_warmup: int = 0
    grpc_max_threads: int = 0
    enable_batching: bool = False
    batching_parameters_file: str = ""
    enable_per_model_batching_parameters: bool = False
    monitoring_config_file: str = ""
    request_log_prefix: str = ""
    request_log_sampling_rate: float = 1.0
    request_log_max_files: int = 100
    grace_secs: float = 10.0

    def __post_init__(self) -> None:
        if self.use_alts_credentials and self.ssl_config_file:
            raise ValueError(
                "Either use_alts_credentials must be false or ssl_config_file must be empty."
            )
        if not self.model_base_path and not self.model_config_file:
            raise ValueError(
                "Both server_options.model_base_path and server_options.model_config_file are "
                "empty!"
            )
        if not self.model_config_file:
            if not base_paths.is_absolute(self.model_base_path):
                raise ValueError(
                    base_paths.relative_sentence(self.model_name, self.model_base_path)
                )
            if not self.model_name:
                raise ValueError("Expected --model_name to be a name, found ''.")
        if self.batching_parameters_file and not self.enable_batching:
            raise ValueError(
                "server_options.batching_parameters_file is set without setting "
                "server_options.enable_batching to true."
            )
        _require(
            self.model_config_file_poll_wait_seconds >= 0,
            "model_config_file_poll_wait_seconds",
            "0 or more",
            self.model_config_file_poll_wait_seconds,
        )
        _require(self.num_processes >= 1, "num_processes", "1 or more", self.num_processes)
        if self.num_processes > 1 and self.grpc_socket_path:
            raise ValueError(
                "Expected no --grpc_socket_path with --num_processes above 1, found "
                f"{self.grpc_socket_path}. Processes cannot share a Unix socket; let them share a port."
            )
        _require(0 <= self.port <= _MAX_PORT, "port", f"0 to {_MAX_PORT}", self.port)
        _require(
            -1 <= self.rest_api_port <= _MAX_PORT,
            "rest_api_port",
            f"-1 to {_MAX_PORT}",
            self.rest_api_port,
        )
        if self.port > 0 and self.port == self.rest_api_port:
            raise ValueError(
                f"Expected --port and --rest_api_port to differ, both are {self.port}."
            )
        _require(
            self.rest_api_num_threads >= 0,
            "rest_api_num_threads",
            "0 or more",
            self.rest_api_num_threads,
        )
        _require(
            self.rest_api_timeout_in_ms > 0,
            "rest_api_timeout_in_ms",
            "more than 0",
            self.rest_api_timeout_in_ms,
        )
        _require(
            self.rest_api_max_body_bytes > 0,
            "rest_api_max_body_bytes",
            "more than 0",
            self.rest_api_max_body_bytes,
        )
        _require(
            self.rest_api_client_timeout_in_ms > 0,
            "rest_api_client_timeout_in_ms",
            "more than 0",
            self.rest_api_client_timeout_in_ms,
        )
        _require(
            self.max_num_load_retries >= 0,
            "max_num_load_retries",
            "0 or more",
            self.max_num_load_retries,
        )
        _require(
            self.load_retry_multiplier >= 1,
            "load_retry_multiplier",
            "1 or more",
            self.load_retry_multiplier,
        )
        for name in (
            "num_load_threads",
            "num_unload_threads",
            "settle_secs",
            "forget_ended_secs",
            "model_memory_limit_mb",
        ):
            _require(getattr(self, name) >= 0, name, "0 or more", getattr(self, name))
        if self.model_memory_limit_mb and not self.lazy_loading:
            raise ValueError(
                "Expected --lazy_loading with --model_memory_limit_mb, which says what may be in "
                "memory of models that are loaded when they are asked."
            )
        self._check_request_log()
        self._check_session()
        for name in ("num_tflite_pools", "num_tflite_interpreters_per_pool"):
            _require(getattr(self, name) >= 0, name, "0 or more", getattr(self, name))
        self._check_absent()
        self.channel_arguments()
        _require(self.grpc_max_threads >= 0, "grpc_max_threads", "0 or more", self.grpc_max_threads)
        _require(self.grace_secs >= 0, "grace_secs", "0 or more", self.grace_secs)

    def _check_request_log(self) -> None:
        if self.request_log_prefix:
            _require(
                base_paths.is_absolute(self.request_log_prefix),
                "request_log_prefix",
                "an absolute path or URI",
                self.request_log_prefix,
            )
            if self.model_config_file:
                raise ValueError(
                    "Expected --request_log_prefix to be empty with --model_config_file. "
                    "Give the models of that file a logging_config."
                )
        _require(
            0 <= self.request_log_sampling_rate <= 1,
            "request_log_sampling_rate",
            "0 to 1",
            self.request_log_sampling_rate,
        )
        _require(
            self.request_log_max_files >= 0,
            "request_log_max_files",
            "0 or more",
            self.request_log_max_files,
        )

    def _check_session(self) -> None:
        if (
            self.tensorflow_session_parallelism > 0
            and self.tensorflow_intra_op_parallelism > 0
            and self.tensorflow_inter_op_parallelism > 0
        ):
            raise ValueError(
                "Either configure server_options.tensorflow_session_parallelism or "
                "(server_options.tensorflow_intra_op_parallelism, "
                "server_options.tensorflow_inter_op_parallelism) separately. "
                "You cannot configure all."
            )
        _require(
            0 <= self.per_process_gpu_memory_fraction <= 1,
            "per_process_gpu_memory_fraction",
            "0 to 1",
            self.per_process_gpu_memory_fraction,
        )

    def _check_absent(self) -> None:
        """Refuses what the stock server has and this one has not."""
        instead = {
            "platform_config_file": "Say with flags what it says.",
            "thread_pool_factory_config_file": "Set threads with --tensorflow_session_parallelism.",
        }
        for name, fix in instead.items():
            if path := getattr(self, name):
                raise ValueError(f"Expected --{name} to be empty, found {path}. {fix}")
        if self.use_alts_credentials:
            raise ValueError(
                "Expected --use_alts_credentials to be false: there is no ALTS here. "
                "Use --ssl_config_file."
            )

    @property
    def without_effect(self) -> list[str]:
        """A sentence for each flag that was given and does nothing here."""
        always = "has no effect: a model that asks for XLA always gets it"
        sentences = {
            "flush_filesystem_caches": "has no effect: no file is kept in memory",
            "xla_cpu_compilation_enabled": always,
            "xla_gpu_compilation_enabled": always,
            "remove_unused_fields_from_bundle_metagraph": "has no effect: they are never kept",
            "skip_initialize_tpu": "has no effect: no TPU is initialized",
        }
        return [
            f"--{field.name} {sentences[field.name]}."
            for field in dataclasses.fields(self)
            if field.name in sentences and getattr(self, field.name) != field.default
        ]

    @property
    def tflite_interpreters(self) -> int:
        """How many interpreters a TFLite model has."""
        pools = self.num_tflite_pools or len(os.sched_getaffinity(0))
        return pools * max(self.num_tflite_interpreters_per_pool, 1)

    @property
    def listens_on_tcp(self) -> bool:
        """Whether there is a gRPC port."""
        return self.port > 0 or not self.grpc_socket_path

    def channel_arguments(self) -> list[tuple[str, int | str]]:
        """The pairs of `grpc_channel_arguments`; a value that is a 32-bit integer is one.

        Raises:
            ValueError: one has no name or no value.
        """
        pairs: list[tuple[str, int | str]] = []
        for text in filter(None, self.grpc_channel_arguments.split(",")):
            name, _, value = text.partition("=")
            _require(bool(name and value), "grpc_channel_arguments", "name=value pairs", text)
            pairs.append((name, _integer_or_text(value)))
        return pairs


def _integer_or_text(text: str) -> int | str:
    try:
        number = int(text)
    except ValueError:
        return text
    return number if -(2**31) <= number < 2**31 else text


def _require(holds: bool, name: str, rule: str, value: object) -> None:
    if not holds:
        raise ValueError(f"Expected --{name} to be {rule}, found {value}.")
