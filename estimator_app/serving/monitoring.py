"""Whether there is a page for Prometheus, and at which path: the file of `--monitoring_config_file`.

prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }
"""

from estimator_app.serving import text_files

DEFAULT_PATH = "/monitoring/prometheus/metrics"


def prometheus_path(config_file: str) -> str | None:
    """The path of the page, None if the file does not enable it; without a file there is none.

    Args:
        config_file: path of the file; empty for none.

    Raises:
        errors.ServableError: it cannot be read, or does not parse.
    """
    if not config_file:
        return None
    config = text_files.read(config_file, text_files.MonitoringConfig).prometheus_config
    return (config.path or DEFAULT_PATH) if config.enable else None
