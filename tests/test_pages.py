"""The pages name what there is: a model or a format that is added is added there too."""

import pathlib
import re

from estimator_app import serve_flags
from estimator_app.models import registry
from input_fns import formats

_ROOT = pathlib.Path(__file__).parents[1]
# Of tensorflow_model_server (TF Serving: model_servers/main.cc).
_STOCK_FLAGS = """
    port grpc_socket_path rest_api_port rest_api_num_threads rest_api_timeout_in_ms
    rest_api_enable_cors_support enable_batching batching_parameters_file
    enable_per_model_batching_parameters model_config_file model_config_file_poll_wait_seconds
    model_name model_base_path allow_version_labels_for_unavailable_models num_load_threads
    num_unload_threads max_num_load_retries load_retry_interval_micros
    file_system_poll_wait_seconds flush_filesystem_caches tensorflow_session_parallelism
    tensorflow_intra_op_parallelism tensorflow_inter_op_parallelism tensorflow_session_config_file
    platform_config_file per_process_gpu_memory_fraction saved_model_tags grpc_channel_arguments
    grpc_max_threads enable_model_warmup num_request_iterations_for_warmup monitoring_config_file
    ssl_config_file use_alts_credentials enable_grpc_healthcheck_service
    enable_signature_method_name_check enable_profiler enable_serialization_as_tensor_content
    prefer_tflite_model num_tflite_pools num_tflite_interpreters_per_pool
    remove_unused_fields_from_bundle_metagraph xla_cpu_compilation_enabled
    xla_gpu_compilation_enabled mixed_precision thread_pool_factory_config_file
    skip_initialize_tpu version
""".split()


def page(name: str) -> str:
    return (_ROOT / name).read_text(encoding="utf-8")


def test_every_model_is_in_the_tables():
    for name in ("README.md", "docs/models.md"):
        named = set(re.findall(r"`([^`\n]+)`", page(name).replace("```", "")))
        assert set(registry.MODELS) <= named, name


def test_every_format_is_in_the_table_with_its_endings():
    text = page("docs/formats.md")
    for name, entry in formats.FORMATS.items():
        assert re.search(rf"`{name}`|--format={name}\b", text), name
        for ending in entry.endings:
            assert ending in text, (name, ending)


def test_pages_link_to_what_is_there():
    for path in [_ROOT / "README.md", *(_ROOT / "docs").glob("*.md")]:
        for target, anchor in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]*))?\)", page(path)):
            linked = (path.parent / target).resolve() if target else path
            assert linked.exists(), (path.name, target)
            if anchor and linked.suffix == ".md":
                titles = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
                anchors = {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}
                assert anchor in anchors, (path.name, target, anchor)


def test_every_flag_of_the_server_is_in_the_table_with_what_the_stock_server_does():
    defined = serve_flags.flags.FLAGS.flags_by_module_dict()[serve_flags.__name__]
    names = {flag.name for flag in defined} | {"version"}
    assert set(_STOCK_FLAGS) <= names
    rows = dict[str, str]()
    for row in re.findall(r"^\| (`--.*) \|$", page("docs/serving.md"), re.MULTILINE):
        flags, *_, stock = row.split(" | ")
        rows |= {name: stock for name in re.findall(r"`--(\w+)`", flags)}
    assert set(rows) == names
    for name, stock in rows.items():
        assert ("addition" in stock) == (name not in _STOCK_FLAGS), name
