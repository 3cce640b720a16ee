"""ServerSettings: the stock defaults, and what is refused."""

import pytest

from estimator_app.serving import settings as serving_settings


def test_defaults_are_those_of_the_stock_server():
    settings = serving_settings.ServerSettings(model_base_path="/models/census")
    assert (settings.port, settings.rest_api_port, settings.model_name) == (8500, 0, "default")
    assert settings.file_system_poll_wait_seconds == 1
    assert settings.max_num_load_retries == 5
    assert settings.load_retry_interval_micros == 60_000_000
    assert settings.rest_api_timeout_in_ms == 30000


@pytest.mark.parametrize("path", ["/models/census", "gs://bucket/census", "/"])
def test_absolute_paths_and_uris_are_accepted(path):
    assert serving_settings.ServerSettings(model_base_path=path).model_base_path == path


@pytest.mark.parametrize(
    "wrong, message",
    [
        (
            {"model_base_path": ""},
            "Both server_options.model_base_path and server_options.model_config_file are empty!",
        ),
        (
            {"model_base_path": "models/census", "model_name": "census"},
            "Expected model census to have an absolute path or URI; got base_path()=models/census",
        ),
        (
            {"batching_parameters_file": "/batching.txt"},
            "server_options.batching_parameters_file is set without setting "
            "server_options.enable_batching to true.",
        ),
        ({"model_name": ""}, "Expected --model_name to be a name, found ''."),
        ({"port": -1}, "Expected --port to be 0 to 65535, found -1."),
        ({"port": 65536}, "Expected --port to be 0 to 65535, found 65536."),
        ({"rest_api_port": -2}, "Expected --rest_api_port to be -1 to 65535, found -2."),
        (
            {"port": 8500, "rest_api_port": 8500},
            "Expected --port and --rest_api_port to differ, both are 8500.",
        ),
        (
            {"rest_api_timeout_in_ms": 0},
            "Expected --rest_api_timeout_in_ms to be more than 0, found 0.",
        ),
        (
            {"max_num_load_retries": -1},
            "Expected --max_num_load_retries to be 0 or more, found -1.",
        ),
        (
            {"load_retry_multiplier": 0.5},
            "Expected --load_retry_multiplier to be 1 or more, found 0.5.",
        ),
        ({"num_load_threads": -1}, "Expected --num_load_threads to be 0 or more, found -1."),
        ({"num_unload_threads": -1}, "Expected --num_unload_threads to be 0 or more, found -1."),
        ({"settle_secs": -1.0}, "Expected --settle_secs to be 0 or more, found -1.0."),
        ({"forget_ended_secs": -1.0}, "Expected --forget_ended_secs to be 0 or more, found -1.0."),
        (
            {"model_memory_limit_mb": 100},
            "Expected --lazy_loading with --model_memory_limit_mb, which says what may be in memory of "
            "models that are loaded when they are asked.",
        ),
        (
            {"lazy_loading": True, "model_memory_limit_mb": -1},
            "Expected --model_memory_limit_mb to be 0 or more, found -1.",
        ),
        ({"grpc_max_threads": -1}, "Expected --grpc_max_threads to be 0 or more, found -1."),
        (
            {"grpc_channel_arguments": "grpc.a=1,grpc.b"},
            "Expected --grpc_channel_arguments to be name=value pairs, found grpc.b.",
        ),
        (
            {
                "tensorflow_session_parallelism": 1,
                "tensorflow_intra_op_parallelism": 2,
                "tensorflow_inter_op_parallelism": 3,
            },
            "Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, "
            "server_options.tensorflow_inter_op_parallelism) separately. You cannot configure all.",
        ),
        (
            {"per_process_gpu_memory_fraction": 1.5},
            "Expected --per_process_gpu_memory_fraction to be 0 to 1, found 1.5.",
        ),
        (
            {"use_alts_credentials": True, "ssl_config_file": "/ssl.txt"},
            "Either use_alts_credentials must be false or ssl_config_file must be empty.",
        ),
        (
            {"use_alts_credentials": True},
            "Expected --use_alts_credentials to be false: there is no ALTS here. "
            "Use --ssl_config_file.",
        ),
        (
            {"platform_config_file": "/p.txt"},
            "Expected --platform_config_file to be empty, found /p.txt. "
            "Say with flags what it says.",
        ),
        (
            {"thread_pool_factory_config_file": "/t.txt"},
            "Expected --thread_pool_factory_config_file to be empty, found /t.txt. "
            "Set threads with --tensorflow_session_parallelism.",
        ),
        (
            {"request_log_prefix": "logs/m"},
            "Expected --request_log_prefix to be an absolute path or URI, found logs/m.",
        ),
        (
            {"request_log_prefix": "/logs/m", "model_config_file": "/models.txt"},
            "Expected --request_log_prefix to be empty with --model_config_file. "
            "Give the models of that file a logging_config.",
        ),
        (
            {"request_log_sampling_rate": 2.0},
            "Expected --request_log_sampling_rate to be 0 to 1, found 2.0.",
        ),
        (
            {"request_log_max_files": -1},
            "Expected --request_log_max_files to be 0 or more, found -1.",
        ),
        ({"grace_secs": -0.5}, "Expected --grace_secs to be 0 or more, found -0.5."),
    ],
)
def test_wrong_value_is_refused(wrong, message):
    with pytest.raises(ValueError) as caught:
        serving_settings.ServerSettings(**{"model_base_path": "/models", **wrong})
    assert str(caught.value) == message


def test_channel_arguments_are_integers_where_they_can_be():
    text = "grpc.max_connection_age_ms=2000,grpc.low=-1,grpc.large=3000000000,grpc.name=a=b"
    settings = serving_settings.ServerSettings(model_base_path="/m", grpc_channel_arguments=text)
    assert settings.channel_arguments() == [
        ("grpc.max_connection_age_ms", 2000),
        ("grpc.low", -1),
        ("grpc.large", "3000000000"),
        ("grpc.name", "a=b"),
    ]


def test_a_socket_turns_port_0_off():
    def listens(**fields):
        return serving_settings.ServerSettings(model_base_path="/m", **fields).listens_on_tcp

    assert listens(port=0)
    assert not listens(port=0, grpc_socket_path="/run/m.sock")
    assert listens(port=8500, grpc_socket_path="/run/m.sock")


def test_what_does_nothing_says_so():
    settings = serving_settings.ServerSettings(
        model_base_path="/m", xla_cpu_compilation_enabled=True, flush_filesystem_caches=False
    )
    assert settings.without_effect == [
        "--flush_filesystem_caches has no effect: no file is kept in memory.",
        "--xla_cpu_compilation_enabled has no effect: a model that asks for XLA always gets it.",
    ]
    assert serving_settings.ServerSettings(model_base_path="/m").without_effect == []
