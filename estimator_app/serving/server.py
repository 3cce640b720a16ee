"""The model server: an object with a lifetime.

    with server.ModelServer(settings.ServerSettings(model_base_path="/models/census")) as running:
        print(running.port)

Ports open only when every model is available, so a port that answers means models that answer
(TF Serving: model_servers/server.cc).
"""

from collections.abc import Callable, Sequence
import functools
import logging
import threading
import time
from typing import Any

from estimator_app.serving import (
    batching,
    batching_parameters,
    config_poller,
    credentials,
    load_threads,
    loaded_versions,
    model_config,
    model_list,
    model_table,
    models,
    monitoring,
    ports,
    probes,
    profiler,
    request_log,
    request_metrics,
    servicers,
    session_config,
)
from estimator_app.serving import settings as serving_settings
from estimator_app.serving import text_files, transport, version_policy, warm_up
from export import lite_servable, servable, signatures
from serving_client import wire

_logger = logging.getLogger(__name__)

# How long the models may take to go once the calls have ended.
_UNLOAD_SECS = 2.0


class ModelServer:
    """Serves models over gRPC, and over REST if asked to.

    Attributes:
        settings: what it was made with.
        port: the gRPC port, once started; None if there is only the Unix socket.
        grpc_addresses: what gRPC clients connect to, once started.
        rest_port: the REST port, once started; None if REST is off.
    """

    def __init__(self, settings: serving_settings.ServerSettings) -> None:
        self.settings = settings
        self.port: int | None = None
        self.rest_port: int | None = None
        self._metrics_path: str | None = None
        self._counted = request_metrics.RequestMetrics()
        self.grpc_addresses: list[str] = []
        self._load_gate = load_threads.LoadGate(settings.num_load_threads)
        self._on_demand = (
            loaded_versions.LoadedVersions(settings.model_memory_limit_mb)
            if settings.lazy_loading
            else None
        )
        self._unload_threads = load_threads.UnloadThreads(settings.num_unload_threads)
        self._logs = request_log.RequestLogs(settings.request_log_max_files)
        self._counted.others.append(self._logs.count)
        self._table = model_table.ModelTable(
            self._make_model,
            settings.allow_version_labels_for_unavailable_models,
            self._configure_logs,
        )
        self._batcher: batching.Batcher | None = None
        self._session_config: Any = None
        self._poller: config_poller.ConfigPoller | None = None
        self._grpc: transport.GrpcListener | None = None
        self._health: probes.HealthService | None = None
        self._grpc_tls: credentials.Tls | None = None
        self._rest_tls: credentials.Tls | None = None
        self._rest: Any = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._stopped = threading.Event()

    def available(self) -> dict[str, list[int]]:
        """Model -> its versions that answer now, highest first."""
        return self._table.available()

    def answering(self) -> dict[str, list[int]]:
        """Model -> its versions that answer, if need be once they are loaded, highest first."""
        return self._table.answering()

    def start(self) -> bool:
        """Loads the models, then opens the ports. Waits without limit for a first version of each.

        Returns:
            whether it serves now; False if it was stopped meanwhile.

        Raises:
            errors.ServableError: a port is in use, a file of settings does not serve, or a model
                cannot be loaded.
        """
        config = self._read_config()
        self._session_config = session_config.from_settings(self.settings)
        for sentence in self.settings.without_effect:
            _logger.warning("%s", sentence)
        host = self.settings.host
        # Known before the model takes minutes to load; the port itself opens after.
        self._grpc_tls = credentials.read(self.settings.ssl_config_file)
        self._rest_tls = credentials.read(self.settings.rest_api_ssl_config_file)
        if self.settings.listens_on_tcp:
            ports.bind(host, self.settings.port, "port", self.settings.reuse_port).close()
        if self.settings.grpc_socket_path:
            transport.claim_socket(self.settings.grpc_socket_path)
        if self.settings.rest_api_port > 0:
            ports.bind(
                host, self.settings.rest_api_port, "rest_api_port", self.settings.reuse_port
            ).close()
        if self.settings.rest_api_port:
            self._metrics_path = monitoring.prometheus_path(self.settings.monitoring_config_file)
        try:
            if self.settings.enable_batching:
                self._batcher = self._make_batcher()
            self._table.reload(config)
            self._load_gate.narrow()
            with self._lock:
                if self._stopping.is_set():
                    return False
                self._open()
                self._poll_config()
        except BaseException:
            self.stop(0)
            raise
        return True

    def wait(self) -> None:
        """Waits until the server has been stopped."""
        self._stopped.wait()

    def stop(self, grace_secs: float | None = None) -> None:
        """Takes no more calls, lets those under way end, then unloads the models.

        Args:
            grace_secs: how long they may take; None for what the settings say. After that they end
                as cancelled. Stopping twice does no harm. A load under way is not waited for: it
                ends by itself.
        """
        grace_secs = self.settings.grace_secs if grace_secs is None else grace_secs
        with self._lock:
            first = not self._stopping.is_set()
            self._stopping.set()
        if not first:
            self._stopped.wait()
            return
        deadline = time.monotonic() + grace_secs
        self._table.begin_stop()
        if self._batcher is not None:
            self._batcher.hurry()
        if self._rest is not None:
            self._rest.begin_stop()
        if self._health is not None:
            self._health.stop()
        if self._grpc is not None:
            self._grpc.stop(grace_secs)
        if self._rest is not None:
            self._rest.stop(max(deadline - time.monotonic(), 0))
        # A load cannot be broken off, and may take minutes; so may a read from a far file system.
        unloading = threading.Thread(target=self._unload, name="unload", daemon=True)
        unloading.start()
        unloading.join(_UNLOAD_SECS)
        self._stopped.set()

    def _unload(self) -> None:
        if self._poller is not None:
            self._poller.stop()
        self._table.stop()
        self._logs.close()
        self._unload_threads.stop()
        if self._batcher is not None:
            self._batcher.stop()

    def __enter__(self) -> "ModelServer":
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _make_model(
        self, name: str, base_path: str, policy: version_policy.VersionPolicy
    ) -> models.ServedModel:
        settings = self.settings
        load_fn: Callable[..., servable.Servable] = servable.Servable
        if settings.prefer_tflite_model:
            load_fn = functools.partial(
                lite_servable.load, interpreters=settings.tflite_interpreters
            )
        load_fn = functools.partial(
            load_fn,
            tags=list(filter(None, settings.saved_model_tags.split(","))) or signatures.SERVE_TAGS,
            session_config=self._session_config,
            on_run=self._counted.add_run,
            check_method_names=settings.enable_signature_method_name_check,
            wrap_run=None if self._batcher is None else self._batcher.wrap,
        )
        if settings.enable_model_warmup:
            iterations = max(settings.num_request_iterations_for_warmup, 1)
            load_fn = warm_up.WarmUp(self._counted.warm_up, iterations).after(load_fn)
        return models.ServedModel(
            name,
            base_path,
            policy,
            poll_wait_secs=settings.file_system_poll_wait_seconds,
            max_load_retries=settings.max_num_load_retries,
            load_retry_wait_secs=settings.load_retry_interval_micros / 1e6,
            load_retry_multiplier=settings.load_retry_multiplier,
            settle_secs=settings.settle_secs,
            forget_ended_secs=settings.forget_ended_secs,
            load_gate=self._load_gate,
            unload_fn=self._unload_threads,
            loaded_on_demand=self._on_demand,
            load_fn=load_fn,
        )

    def _make_batcher(self) -> batching.Batcher:
        settings = self.settings
        return batching.Batcher(
            batching_parameters.read(settings.batching_parameters_file),
            settings.enable_per_model_batching_parameters,
            self._counted.batching,
        )

    def _read_config(self) -> Any:
        """The ModelServerConfig: that of the file, or of the one model."""
        settings = self.settings
        if settings.model_config_file:
            return text_files.read(settings.model_config_file, text_files.ModelServerConfig)
        log = None
        if settings.request_log_prefix:
            log = request_log.LogConfig(
                settings.request_log_prefix, settings.request_log_sampling_rate
            )
        return model_config.single_model(settings.model_name, settings.model_base_path, log)

    def _configure_logs(self, configs: Sequence[model_config.ModelConfig]) -> None:
        self._logs.configure(
            {config.name: config.log for config in configs if config.log is not None}
        )

    def _apply_config(self) -> None:
        self._table.apply(self._read_config())

    def _poll_config(self) -> None:
        wait_secs = self.settings.model_config_file_poll_wait_seconds
        if self.settings.model_config_file and wait_secs:
            # Without waiting for new models: the next change of the file may be its correction.
            self._poller = config_poller.ConfigPoller(wait_secs, self._apply_config)

    def _listed(self) -> model_list.ModelList | None:
        return model_list.ModelList(self._table) if self.settings.enable_model_list else None

    def _open(self) -> None:
        settings = self.settings
        handlers = servicers.generic_handlers(
            self._table,
            self._counted,
            self._logs,
            settings.enable_serialization_as_tensor_content,
            is_alone=not settings.reuse_port,
            listed=self._listed(),
        )
        if settings.enable_profiler:
            handlers.append(profiler.generic_handler())
        listener = transport.GrpcListener(settings, handlers, self._grpc_tls)
        services = list(wire.SERVICES)
        if settings.enable_profiler:
            services.append(profiler.SERVICE)
        if settings.enable_grpc_healthcheck_service:
            self._health = probes.HealthService()
            self._health.add_to(listener.server)
            services.append(probes.HEALTH_SERVICE)
        probes.add_reflection(listener.server, services)
        listener.start()
        self._grpc, self.port, self.grpc_addresses = listener, listener.port, listener.addresses
        _logger.info("gRPC listens on %s", ", ".join(listener.addresses))
        if settings.rest_api_port:
            self._open_rest()

    def _open_rest(self) -> None:
        settings = self.settings
        # Loaded only when asked for: most servers speak gRPC alone.
        from estimator_app.serving import browser_page, rest, rest_server, rest_site

        site = rest_site.RestSite(
            rest.RestApi(
                self._table, self._counted, settings.rest_api_timeout_in_ms, self._listed()
            ),
            self._counted,
            metrics_path=self._metrics_path,
            cors=settings.rest_api_enable_cors_support,
            page=(
                browser_page.BrowserPage(self._table, self._counted)
                if settings.rest_api_enable_browser_page
                else None
            ),
        )
        bound = ports.bind(
            settings.host, max(settings.rest_api_port, 0), "rest_api_port", settings.reuse_port
        )
        ssl_context = None if self._rest_tls is None else self._rest_tls.ssl_context()
        self._rest = rest_server.RestServer(
            site,
            bound,
            settings.grace_secs,
            settings.rest_api_num_threads,
            ssl_context,
            max_body_bytes=settings.rest_api_max_body_bytes,
            client_timeout_secs=settings.rest_api_client_timeout_in_ms / 1e3,
        )
        self.rest_port = self._rest.port
        _logger.info("REST listens on %s", ports.address(settings.host, self.rest_port))
