"""Serves a directory of SavedModel versions behind TensorFlow Serving's API.

estimator-serve --port=8500 --rest_api_port=8501 --model_name=census
--model_base_path=/models/census
"""

import gc
import importlib.metadata
import json
import logging
import os
import signal
import sys
import threading
from typing import Any

from absl import app, flags

from estimator_app import program, serve_flags
from estimator_app.serving import memory
from estimator_app.serving import settings as serving_settings

_EXIT_FAILED = 255
_SIGNALS = {signal.SIGTERM, signal.SIGINT}
_HELP = ("-h", "-help", "--help", "--helpshort", "--helpfull")


def main(argv: list[str]) -> int:
    """Serves until SIGTERM or SIGINT.

    Returns:
        the exit code: 0 after a stop, 255 if the server could not start.
    """
    del argv  # Everything is in the flags.
    if flags.FLAGS.version:
        print(f"TensorFlow ModelServer: {importlib.metadata.version('estimator-service')}")
        print(f"TensorFlow Library: {importlib.metadata.version('tensorflow')}")
        return 0
    try:
        settings = serve_flags.settings_from_flags()
    except ValueError as error:
        return _failed(f"INVALID_ARGUMENT: {error}")
    port_file = flags.FLAGS.port_file
    try:
        _prepare_port_file(port_file)
    except OSError as error:
        return _failed(_port_file_error(port_file, error))
    if settings.num_processes > 1:
        return _supervise(settings, port_file)
    # Before any thread is there, so that all of them leave the signals to _stop_on_signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    memory.use_system_allocator(os.environ)
    # TensorFlow comes with these, and takes seconds.
    with program.quiet_native_start():
        from estimator_app.serving import open_files, ports, server
        from export import errors

    # What the imports have made stays: the garbage collector need not look at it again, which takes it long.
    gc.freeze()
    open_files.raise_limit()
    # What is no message is answered, not logged: a flood of it would fill the disk.
    logging.getLogger("grpc._common").addFilter(
        lambda record: "deserializing" not in record.getMessage()
    )
    model_server = server.ModelServer(settings)
    threading.Thread(target=_stop_on_signal, args=[model_server], daemon=True).start()
    try:
        serves = model_server.start()
    except errors.ServableError as error:
        return _failed(str(error))
    if serves:
        line = f"gRPC {', '.join(model_server.grpc_addresses)}"
        if model_server.rest_port is not None:
            line += f", REST {ports.address(settings.host, model_server.rest_port)}"
        when = ", loaded when first asked" if settings.lazy_loading else ""
        print(f"Serving {_served(model_server.answering())}{when}: {line}", flush=True)
        try:
            _write_port_file(port_file, _chosen(model_server))
        except OSError as error:
            model_server.stop(0)
            return _failed(_port_file_error(port_file, error))
    model_server.wait()
    # Whatever its threads do: one may be in a load, or wait for a caller.
    program.leave(0)


def cli() -> None:
    """The console script `estimator-serve`."""
    app.run(lambda argv: sys.exit(main(argv)), flags_parser=_parse)


def _parse(argv: list[str]) -> list[str]:
    """Reads the flags; reports and ignores unknown ones (TF Serving: main.cc)."""
    description = sys.modules[__name__].__doc__ or ""
    if any(arg in _HELP for arg in argv[1:]):
        program.show_help(description, serve_flags.GROUPS)
    try:
        unknown = flags.FLAGS(argv, known_only=True)[1:]
    except flags.Error as error:
        print(f"{error}\n{program.help_text(description, serve_flags.GROUPS)}")
        sys.exit(_EXIT_FAILED)
    for arg in unknown:
        print(f"unknown argument: {arg}\n{program.help_text(description, serve_flags.GROUPS)}")
    return argv[:1]


def _served(available: dict[str, list[int]]) -> str:
    """`census version 3, digits versions 2 and 1`."""
    parts = []
    for name, versions in available.items():
        noun = "version" if len(versions) == 1 else "versions"
        parts.append(f"{name} {noun} {' and '.join(map(str, versions)) or 'none'}")
    return ", ".join(parts) or "no models"


def _failed(message: str) -> int:
    print(f"Failed to start server. Error: {message}", flush=True)
    return _EXIT_FAILED


def _stop_on_signal(model_server: Any) -> None:
    """Stops the server at the first signal, and ends the process at the second."""
    number = signal.sigwait(_SIGNALS)
    print(f"Got {signal.Signals(number).name}: taking no more calls.", flush=True)
    threading.Thread(target=model_server.stop, daemon=True).start()
    os._exit(128 + signal.sigwait(_SIGNALS))


def _prepare_port_file(path: str) -> None:
    """Removes the file of a server before this one; raises OSError where none can be written."""
    if not path:
        return
    os.stat(os.path.join(os.path.dirname(path) or ".", ""))
    if os.path.exists(path):
        os.remove(path)


def _port_file_error(path: str, error: OSError) -> str:
    """Returns the sentence for a port file that cannot be written."""
    return (
        f"INVALID_ARGUMENT: Expected --port_file={path} to be a file that can be written: "
        f"{error.strerror}. Choose a path in a directory that exists."
    )


def _chosen(model_server: Any) -> dict[str, Any]:
    """What the port file says."""
    return {
        "host": model_server.settings.host,
        "port": model_server.port,
        "grpc_socket_path": model_server.settings.grpc_socket_path,
        "rest_port": model_server.rest_port,
        "models": list(model_server.available()),
        "pid": os.getpid(),
    }


def _write_port_file(path: str, chosen: dict[str, Any]) -> None:
    """Writes where the server listens, beside the file and renamed; nothing without a path."""
    if not path:
        return
    beside = f"{path}.{os.getpid()}"
    with open(beside, "w", encoding="utf-8") as file:
        json.dump(chosen, file)
    os.replace(beside, path)


def _supervise(settings: serving_settings.ServerSettings, port_file: str) -> int:
    """Serves with several processes; returns the exit code."""
    from estimator_app.serving import workers
    from export import errors

    def on_serving(line: str, chosen: dict[str, Any]) -> None:
        print(f"{line}, {settings.num_processes} processes", flush=True)
        _write_port_file(port_file, {**chosen, "pid": os.getpid()})

    try:
        code, failure = workers.supervise(sys.argv[1:], settings, on_serving)
    except errors.ServableError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(_port_file_error(port_file, error))
    if failure:
        print(failure, flush=True)
    return code


if __name__ == "__main__":
    cli()
