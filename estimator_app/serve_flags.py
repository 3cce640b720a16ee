"""Flags of `estimator-serve`, named as the stock server's where it has them, and the ServerSettings they describe.

Defaults are those of serving.settings.
"""

import dataclasses
from typing import Any

from absl import flags

from estimator_app.serving import settings as serving_settings

_DEFAULTS = serving_settings.ServerSettings

flags.DEFINE_string(
    "host",
    _DEFAULTS.host,
    "Address to listen on; 0.0.0.0 for all, as the stock server does. (Addition.)",
)
flags.DEFINE_integer(
    "num_processes",
    _DEFAULTS.num_processes,
    "Processes that share the ports, each with the models in memory. (Addition.)",
)
flags.DEFINE_bool(
    "reuse_port",
    _DEFAULTS.reuse_port,
    "Let other servers that say so, too, listen on the same ports. (Addition.)",
)
flags.DEFINE_integer(
    "port",
    _DEFAULTS.port,
    "gRPC port; 0 picks a free one and prints it, or is off with --grpc_socket_path.",
)
flags.DEFINE_string(
    "grpc_socket_path",
    _DEFAULTS.grpc_socket_path,
    "Unix socket to listen on as well, a relative or absolute path.",
)
flags.DEFINE_string(
    "grpc_channel_arguments",
    _DEFAULTS.grpc_channel_arguments,
    "Arguments of gRPC's server, such as grpc.max_connection_age_ms=2000, with commas between.",
)
flags.DEFINE_string(
    "ssl_config_file",
    _DEFAULTS.ssl_config_file,
    "SSLConfig text with key, certificate and authorities: TLS or mutual TLS for gRPC.",
)
flags.DEFINE_string(
    "rest_api_ssl_config_file",
    _DEFAULTS.rest_api_ssl_config_file,
    "The same for REST. (Addition.)",
)
flags.DEFINE_bool(
    "enable_grpc_healthcheck_service",
    _DEFAULTS.enable_grpc_healthcheck_service,
    "Answer grpc.health.v1.",
)
flags.DEFINE_bool(
    "enable_profiler",
    _DEFAULTS.enable_profiler,
    "Answer TensorFlow's profiler on the gRPC port.",
)
flags.DEFINE_bool(
    "enable_signature_method_name_check",
    _DEFAULTS.enable_signature_method_name_check,
    "Refuse Classify and Regress of a signature that does not name that method, as TF2 exports.",
)
flags.DEFINE_bool(
    "enable_serialization_as_tensor_content",
    _DEFAULTS.enable_serialization_as_tensor_content,
    "Answer Predict in tensor_content: smaller and faster, but not every client reads it.",
)
flags.DEFINE_integer(
    "rest_api_port", _DEFAULTS.rest_api_port, "REST port; 0 is off, -1 picks a free one."
)
flags.DEFINE_integer(
    "rest_api_num_threads",
    _DEFAULTS.rest_api_num_threads,
    "How many REST calls run at once; 0 for four per CPU.",
)
flags.DEFINE_bool(
    "rest_api_enable_cors_support",
    _DEFAULTS.rest_api_enable_cors_support,
    "Lets pages of other origins read REST answers (CORS headers).",
)
flags.DEFINE_bool(
    "rest_api_enable_browser_page",
    _DEFAULTS.rest_api_enable_browser_page,
    "Shows the models at / of the REST port, and lets people ask them. (Addition.)",
)
flags.DEFINE_integer(
    "rest_api_timeout_in_ms",
    _DEFAULTS.rest_api_timeout_in_ms,
    "Time limit of the model's run for a REST call, in milliseconds.",
)
flags.DEFINE_integer(
    "rest_api_max_body_bytes",
    _DEFAULTS.rest_api_max_body_bytes,
    "How large the body of a REST request may be, also once it is unpacked. (Addition.)",
)
flags.DEFINE_integer(
    "rest_api_client_timeout_in_ms",
    _DEFAULTS.rest_api_client_timeout_in_ms,
    "How long a REST client may make no headway with a request or its answer. (Addition.)",
)
flags.DEFINE_string(
    "model_config_file",
    _DEFAULTS.model_config_file,
    "ModelServerConfig as protobuf text: several models, version policies, labels. "
    "--model_name and --model_base_path are then ignored.",
)
flags.DEFINE_integer(
    "model_config_file_poll_wait_seconds",
    _DEFAULTS.model_config_file_poll_wait_seconds,
    "Seconds between two reads of --model_config_file; 0 reads it once.",
)
flags.DEFINE_string("model_name", _DEFAULTS.model_name, "The name that requests use.")
flags.DEFINE_string(
    "model_base_path",
    _DEFAULTS.model_base_path,
    "Absolute path, or URI, of the directory that holds the version directories. "
    "Required without --model_config_file.",
)
flags.DEFINE_bool(
    "allow_version_labels_for_unavailable_models",
    _DEFAULTS.allow_version_labels_for_unavailable_models,
    "Let a new label name a version that is not available, as labels at the start must.",
)
flags.DEFINE_integer(
    "file_system_poll_wait_seconds",
    _DEFAULTS.file_system_poll_wait_seconds,
    "Seconds between two looks for new versions; 0 looks once, a negative number never.",
)
flags.DEFINE_integer(
    "max_num_load_retries",
    _DEFAULTS.max_num_load_retries,
    "How often a load that failed is tried again.",
)
flags.DEFINE_integer(
    "load_retry_interval_micros",
    _DEFAULTS.load_retry_interval_micros,
    "Microseconds between two tries of a load; negative for none.",
)
flags.DEFINE_float(
    "load_retry_multiplier",
    _DEFAULTS.load_retry_multiplier,
    "How many times the wait before each further wait between two tries is; 2 doubles it. (Addition.)",
)
flags.DEFINE_integer(
    "num_load_threads",
    _DEFAULTS.num_load_threads,
    "How many versions load at once while the server serves; 0 for one after the other.",
)
flags.DEFINE_integer(
    "num_unload_threads",
    _DEFAULTS.num_unload_threads,
    "How many versions are unloaded at once; 0 for one after the other.",
)
flags.DEFINE_bool(
    "flush_filesystem_caches",
    _DEFAULTS.flush_filesystem_caches,
    "Accepted and without effect: no file is kept in memory.",
)
flags.DEFINE_float(
    "settle_secs",
    _DEFAULTS.settle_secs,
    "Load a version once it has a SavedModel and its files have not changed for so many seconds; "
    "0 loads it as soon as its directory is there. (Addition.)",
)
flags.DEFINE_bool(
    "lazy_loading",
    _DEFAULTS.lazy_loading,
    "Open the ports at once, and load a version when it is first asked. (Addition.)",
)
flags.DEFINE_integer(
    "model_memory_limit_mb",
    _DEFAULTS.model_memory_limit_mb,
    "MiB that versions loaded so may take, by the sizes of their files; the one that was asked longest "
    "ago goes first. 0 for no limit. (Addition.)",
)
flags.DEFINE_bool(
    "enable_model_list",
    _DEFAULTS.enable_model_list,
    "List all models and versions at GET /v1/models, and as metadata field model_status. (Addition.)",
)
flags.DEFINE_float(
    "forget_ended_secs",
    _DEFAULTS.forget_ended_secs,
    "Seconds after which GetModelStatus forgets a version that ended; 0 for never. (Addition.)",
)
flags.DEFINE_string(
    "saved_model_tags",
    _DEFAULTS.saved_model_tags,
    "Tags of the meta graph to load, with commas between.",
)
flags.DEFINE_integer(
    "tensorflow_session_parallelism",
    _DEFAULTS.tensorflow_session_parallelism,
    "Threads of a session, within and between operations; 0 for one per CPU.",
)
flags.DEFINE_integer(
    "tensorflow_intra_op_parallelism",
    _DEFAULTS.tensorflow_intra_op_parallelism,
    "Threads within one operation; not with both of the others.",
)
flags.DEFINE_integer(
    "tensorflow_inter_op_parallelism",
    _DEFAULTS.tensorflow_inter_op_parallelism,
    "Operations that run side by side; not with both of the others.",
)
flags.DEFINE_string(
    "tensorflow_session_config_file",
    _DEFAULTS.tensorflow_session_config_file,
    "TensorFlow's ConfigProto as protobuf text; what flags say counts before what it says.",
)
flags.DEFINE_float(
    "per_process_gpu_memory_fraction",
    _DEFAULTS.per_process_gpu_memory_fraction,
    "Share of each GPU's memory to take, 0 to 1; 0 leaves that to TensorFlow.",
)
flags.DEFINE_string(
    "mixed_precision",
    _DEFAULTS.mixed_precision,
    "bfloat16: automatic mixed precision on CPUs that have it.",
)
flags.DEFINE_bool(
    "xla_cpu_compilation_enabled",
    _DEFAULTS.xla_cpu_compilation_enabled,
    "Accepted and without effect: a model that asks for XLA always gets it.",
)
flags.DEFINE_bool(
    "xla_gpu_compilation_enabled",
    _DEFAULTS.xla_gpu_compilation_enabled,
    "Accepted and without effect, likewise.",
)
flags.DEFINE_bool(
    "remove_unused_fields_from_bundle_metagraph",
    _DEFAULTS.remove_unused_fields_from_bundle_metagraph,
    "Accepted and without effect: what is not used is never kept.",
)
flags.DEFINE_bool(
    "skip_initialize_tpu",
    _DEFAULTS.skip_initialize_tpu,
    "Accepted and without effect: no TPU is initialized.",
)
flags.DEFINE_string(
    "platform_config_file",
    _DEFAULTS.platform_config_file,
    "Not there: a value is refused.",
)
flags.DEFINE_string(
    "thread_pool_factory_config_file",
    _DEFAULTS.thread_pool_factory_config_file,
    "Not there: a value is refused.",
)
flags.DEFINE_bool(
    "use_alts_credentials",
    _DEFAULTS.use_alts_credentials,
    "Not there: refused.",
)
flags.DEFINE_bool(
    "prefer_tflite_model",
    _DEFAULTS.prefer_tflite_model,
    "Serve the model.tflite of a version that has one.",
)
flags.DEFINE_integer(
    "num_tflite_pools",
    _DEFAULTS.num_tflite_pools,
    "How many calls of a TFLite model run at once; 0 for one per CPU.",
)
flags.DEFINE_integer(
    "num_tflite_interpreters_per_pool",
    _DEFAULTS.num_tflite_interpreters_per_pool,
    "How many times that many.",
)
flags.DEFINE_bool(
    "enable_model_warmup",
    _DEFAULTS.enable_model_warmup,
    "Run a version's assets.extra/tf_serving_warmup_requests before it serves.",
)
flags.DEFINE_integer(
    "num_request_iterations_for_warmup",
    _DEFAULTS.num_request_iterations_for_warmup,
    "How often each of these requests is run; 0 for once.",
)
flags.DEFINE_integer(
    "grpc_max_threads",
    _DEFAULTS.grpc_max_threads,
    "How many gRPC calls run at once; 0 for four per CPU.",
)
flags.DEFINE_bool(
    "enable_batching",
    _DEFAULTS.enable_batching,
    "Run requests for the same tensors of a model together.",
)
flags.DEFINE_string(
    "batching_parameters_file",
    _DEFAULTS.batching_parameters_file,
    "BatchingParameters as protobuf text, in place of the defaults. Needs --enable_batching.",
)
flags.DEFINE_bool(
    "enable_per_model_batching_parameters",
    _DEFAULTS.enable_per_model_batching_parameters,
    "Take them from batching_params.pbtxt in the directory of each version; the threads alone are "
    "those of --batching_parameters_file. Needs --enable_batching.",
)
flags.DEFINE_string(
    "monitoring_config_file",
    _DEFAULTS.monitoring_config_file,
    "File of a MonitoringConfig in text form: whether, and where on the REST port, Prometheus finds metrics.",
)
flags.DEFINE_string(
    "request_log_prefix",
    _DEFAULTS.request_log_prefix,
    "Begin of the paths of files to log requests in, absolute; empty for no log. (Addition.)",
)
flags.DEFINE_float(
    "request_log_sampling_rate",
    _DEFAULTS.request_log_sampling_rate,
    "Share of the requests that are logged, 0 to 1. (Addition.)",
)
flags.DEFINE_integer(
    "request_log_max_files",
    _DEFAULTS.request_log_max_files,
    "Newest files of a log that stay, 1000 requests each; 0 for all. (Addition.)",
)
flags.DEFINE_float(
    "grace_secs",
    _DEFAULTS.grace_secs,
    "How long calls under way may go on after SIGTERM, in seconds. (Addition.)",
)
flags.DEFINE_string(
    "port_file",
    "",
    "File to write the address to, as JSON, once the server serves. (Addition.)",
)
# absl defines --help but not --version.
flags.DEFINE_bool("version", False, "Print the versions of the server and of TensorFlow, and exit.")

GROUPS = {
    "Where it listens": (
        "host",
        "port",
        "num_processes",
        "reuse_port",
        "grpc_socket_path",
        "rest_api_port",
        "ssl_config_file",
        "rest_api_ssl_config_file",
        "port_file",
    ),
    "What it serves": (
        "model_name",
        "model_base_path",
        "model_config_file",
        "model_config_file_poll_wait_seconds",
        "allow_version_labels_for_unavailable_models",
        "file_system_poll_wait_seconds",
        "max_num_load_retries",
        "load_retry_interval_micros",
        "load_retry_multiplier",
        "num_load_threads",
        "num_unload_threads",
        "flush_filesystem_caches",
        "settle_secs",
        "forget_ended_secs",
        "lazy_loading",
        "model_memory_limit_mb",
        "enable_model_list",
        "saved_model_tags",
        "prefer_tflite_model",
        "enable_model_warmup",
        "num_request_iterations_for_warmup",
    ),
    "How": (
        "grpc_max_threads",
        "grpc_channel_arguments",
        "rest_api_num_threads",
        "rest_api_timeout_in_ms",
        "rest_api_max_body_bytes",
        "rest_api_client_timeout_in_ms",
        "rest_api_enable_cors_support",
        "rest_api_enable_browser_page",
        "enable_grpc_healthcheck_service",
        "enable_profiler",
        "enable_signature_method_name_check",
        "enable_serialization_as_tensor_content",
        "enable_batching",
        "batching_parameters_file",
        "enable_per_model_batching_parameters",
        "monitoring_config_file",
        "tensorflow_session_parallelism",
        "tensorflow_intra_op_parallelism",
        "tensorflow_inter_op_parallelism",
        "tensorflow_session_config_file",
        "per_process_gpu_memory_fraction",
        "mixed_precision",
        "num_tflite_pools",
        "num_tflite_interpreters_per_pool",
        "xla_cpu_compilation_enabled",
        "xla_gpu_compilation_enabled",
        "remove_unused_fields_from_bundle_metagraph",
        "skip_initialize_tpu",
        "platform_config_file",
        "thread_pool_factory_config_file",
        "use_alts_credentials",
        "request_log_prefix",
        "request_log_sampling_rate",
        "request_log_max_files",
        "grace_secs",
        "version",
    ),
}


def settings_from_flags() -> serving_settings.ServerSettings:
    """The settings that the command line asks for; raises ValueError for wrong ones."""
    fields = dataclasses.fields(serving_settings.ServerSettings)
    values: dict[str, Any] = {field.name: flags.FLAGS[field.name].value for field in fields}
    return serving_settings.ServerSettings(**values)
