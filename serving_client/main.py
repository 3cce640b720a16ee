"""Asks a model on a server that speaks TensorFlow Serving's API, for every row of a file.

    estimator-query --server=localhost:8500 --model=census --input=people.csv --output=answers.jsonl

The command is documented in docs/client.md. Exit codes: 0 done, 1 the server failed or did not
answer, or some rows have no answer, 2 the request was wrong.
"""

import contextlib
import dataclasses
import itertools
import os
import sys
import textwrap
from typing import Any, Iterator, NoReturn, Optional, Sequence

from absl import app, flags

from serving_client import bulk
from serving_client import client as client_lib
from serving_client import display as display_lib
from serving_client import errors, load_test, metadata, questions
from serving_client import rows as rows_lib
from serving_client import settings as settings_lib
from serving_client.query_settings import QuerySettings

EXIT_FAILED = 1
EXIT_WRONG_REQUEST = 2
EXIT_INTERRUPTED = 130

_PROGRAM = "estimator-query"
_LOAD_TEST_ROWS = 10_000  # of the input, that a load test asks again and again
_HELP = ("-h", "-help", "--help", "--helpshort", "--helpfull", "-?")


# Of this program alone, so that another program's flags of the same names are none of its business.
FLAGS = flags.FlagValues()


def _define_flags() -> dict[str, tuple[str, ...]]:
    """Defines the flags; returns their names by the headings of --help."""
    query, connection = QuerySettings, settings_lib.ClientSettings
    own: dict[str, Any] = {"flag_values": FLAGS}
    flags.DEFINE_string(
        "server",
        None,
        "host:port of the server's gRPC port, or http://host:port of its REST port; several servers of "
        "the same model with commas between; required.",
        **own,
    )
    flags.DEFINE_string(
        "model",
        None,
        "Name of the model on the server; required, but with --status, which then prints all models.",
        **own,
    )
    flags.DEFINE_integer(
        "version", None, "Version to ask; the newest available one if not given.", **own
    )
    flags.DEFINE_string(
        "version_label",
        None,
        "Label, from the server's configuration, of the version to ask.",
        **own,
    )
    flags.DEFINE_string(
        "signature_name",
        None,
        "Signature to ask. If not given: one whose inputs are plain tensors that the columns cover; "
        "otherwise one that takes serialised tf.Examples.",
        **own,
    )
    flags.DEFINE_list(
        "output_filter", [], "Outputs to compute, separated by commas; all if not given.", **own
    )
    flags.DEFINE_string(
        "input",
        None,
        "File with the rows: .csv with a header, .jsonl with an object a line, one of them with .gz, "
        "or .parquet; - for standard input.",
        **own,
    )
    flags.DEFINE_enum(
        "format", None, rows_lib.FORMATS, "What --input holds, if its name does not say it.", **own
    )
    flags.DEFINE_string(
        "output",
        query.output,
        "File for the answers, .jsonl or .csv, or one of them with .gz; - for standard output, "
        "as JSON lines.",
        **own,
    )
    flags.DEFINE_list(
        "key", [], "Columns of the input to write beside each answer, separated by commas.", **own
    )
    flags.DEFINE_string(
        "failures",
        None,
        "File, .jsonl or .jsonl.gz, for the rows that cannot be answered, with the reason. If not "
        "given, the first such row is an error.",
        **own,
    )
    flags.DEFINE_integer("batch_size", query.batch_size, "Rows in one request.", **own)
    flags.DEFINE_integer(
        "concurrency", query.concurrency, "Requests under way at the same time.", **own
    )
    flags.DEFINE_float(
        "timeout_secs", connection.timeout_secs, "Deadline of each request, in seconds.", **own
    )
    flags.DEFINE_float(
        "retry_secs",
        query.retry_secs,
        "For how long a request is repeated while the server is away or overloaded, in seconds.",
        **own,
    )
    flags.DEFINE_bool("tls", False, "Encrypt the connection; https:// and --ca_file do too.", **own)
    flags.DEFINE_string(
        "ca_file",
        None,
        "PEM file of the certificates that the server's one must come from, if not those of the machine.",
        **own,
    )
    flags.DEFINE_string("cert_file", None, "PEM file of the certificate to show the server.", **own)
    flags.DEFINE_string("key_file", None, "PEM file of the private key of --cert_file.", **own)
    flags.DEFINE_string(
        "tls_server_name",
        None,
        "Name that the server's certificate has, if not that of --server.",
        **own,
    )
    flags.DEFINE_multi_string("header", [], "'name: value' to send with every request", **own)
    flags.DEFINE_enum(
        "compression", connection.compression, settings_lib.COMPRESSIONS, "Of requests.", **own
    )
    flags.DEFINE_enum(
        "balance",
        connection.balance,
        settings_lib.BALANCES,
        "Ask several servers in turn, or the first one as long as it answers.",
        **own,
    )
    flags.DEFINE_bool(
        "resume",
        query.resume,
        "Go on where the same command was interrupted; --noresume begins anew.",
        **own,
    )
    flags.DEFINE_bool(
        "load_test",
        False,
        "Ask the rows of --input again and again, --batch_size in a request and --concurrency requests "
        "at a time, and print throughput and latencies instead of answers.",
        **own,
    )
    flags.DEFINE_float("load_test_secs", 10.0, "How long a load test takes, in seconds.", **own)
    flags.DEFINE_bool(
        "status",
        False,
        "Print the state of the model's versions, or of all models' (estimator-serve --enable_model_list), and exit.",
        **own,
    )
    flags.DEFINE_bool("metadata", False, "Print the model's signatures and exit.", **own)
    return {
        "Whom to ask": ("server", "model", "version", "version_label", "signature_name"),
        "What to ask": ("input", "format", "key", "output_filter", "output", "failures"),
        "How to ask": ("batch_size", "concurrency", "timeout_secs", "retry_secs", "resume"),
        "How to connect": (
            *("tls", "ca_file", "cert_file", "key_file", "tls_server_name"),
            *("header", "compression", "balance"),
        ),
        "Measure": ("load_test", "load_test_secs"),
        "Look only": ("status", "metadata"),
    }


_GROUPS = _define_flags()


def run(query: QuerySettings, connection: settings_lib.ClientSettings) -> int:
    """Asks for every row of the input and writes the answers; returns the exit code.

    Raises:
        errors.ClientError: Something went wrong; a file of answers is then not written.
    """
    with display_lib.RowDisplay() as display:
        with client_lib.PredictionClient(connection, query.model) as client:
            counts = bulk.run(client, query, display)
    if query.output != rows_lib.STANDARD:
        display.note(f"{counts.answered} rows answered, written to {query.output}.")
    if counts.failed:
        _fail(
            f"{counts.failed} of {counts.rows} rows could not be answered; the reasons are in "
            f"{query.failures}.",
            EXIT_FAILED,
        )
    return 0


def measure(query: QuerySettings, connection: settings_lib.ClientSettings, secs: float) -> int:
    """Prints how the server bears the load that query says; returns the exit code.

    Raises:
        errors.ClientError: The first requests fail.
    """
    with display_lib.RowDisplay() as display, client_lib.PredictionClient(
        connection, query.model
    ) as client, bulk.prepared(client, query, display.note) as plan:
        rows = list(itertools.islice(plan.rows, _LOAD_TEST_ROWS))
        unreadable = [row.problem for row in rows if row.problem]
        if unreadable:
            raise errors.InputError(unreadable[0])
        load = load_test.run(
            lambda batch: questions.ask(client, plan.question, batch, query),
            list(bulk.batches(iter(rows), query.batch_size)),
            query.concurrency,
            secs,
        )
    print(load.text())
    return EXIT_FAILED if load.failed else 0


def print_status(client: client_lib.PredictionClient, version: Optional[int]) -> None:
    """Prints a line for each version of the client's model."""
    _print_states(client.model, client.model_status(version))


def print_all_statuses(connection: settings_lib.ClientSettings) -> None:
    """Prints a line for each version of each model of the server."""
    # The model of this client is asked nothing; errors name it.
    with client_lib.PredictionClient(connection, "*") as client:
        for model, statuses in client.list_models().items():
            _print_states(model, statuses)


def _print_states(model: str, statuses: Sequence[metadata.VersionStatus]) -> None:
    for one in statuses:
        reason = f"  error {one.error_code}: {one.error_message}" if one.error_code else ""
        print(f"{model} version {one.version}: {one.state}{reason}")


def print_metadata(client: client_lib.PredictionClient, query: QuerySettings) -> None:
    """Prints the signatures of the version that query means."""
    found = client.model_metadata(query.version, query.version_label)
    print(f"{client.model} version {found.version}")
    for signature in found.signatures.values():
        print(f"\n{signature.name}  ({signature.method_name or 'no method'})")
        for spec in signature.inputs.values():
            optional = "  (optional)" if spec.name in signature.optional_inputs else ""
            print(f"  in   {spec}{optional}")
        for spec in signature.outputs.values():
            print(f"  out  {spec}")


def settings_from_flags() -> tuple[QuerySettings, settings_lib.ClientSettings]:
    """Returns what the flags say; ends the program if they contradict each other."""
    for name in ("server", "model"):
        if not FLAGS[name].value and not (name == "model" and _lists_models()):
            _fail(f"--{name} is required. Run {_PROGRAM} --help for the list of flags.")
    if FLAGS.load_test and FLAGS.input is None:
        _fail("--load_test asks the rows of a file; --input is required.")
    if FLAGS.input is None and not (FLAGS.status or FLAGS.metadata):
        _fail("--input is required, or one of --status and --metadata.")
    if FLAGS.load_test and not FLAGS.load_test_secs > 0:
        _fail(f"--load_test_secs must be above 0; got {FLAGS.load_test_secs}.")
    values: dict[str, Any] = {
        field.name: FLAGS[field.name].value for field in dataclasses.fields(QuerySettings)
    }
    values.update(
        model=FLAGS.model or "", key=tuple(FLAGS.key), output_filter=tuple(FLAGS.output_filter)
    )
    try:
        return QuerySettings(**values), _connection()
    except ValueError as error:
        _fail(str(error))


def _lists_models() -> bool:
    """Whether the flags ask for the states of all models."""
    others = FLAGS.input is not None or FLAGS.metadata or FLAGS.load_test
    return FLAGS.status and not FLAGS.model and not others


def _connection() -> settings_lib.ClientSettings:
    """Returns how to reach the server, by the flags.

    Raises:
        ValueError: They contradict each other, or a file cannot be read.
    """
    headers = {}
    for text in FLAGS.header:
        name, colon, value = text.partition(":")
        if not colon:
            raise ValueError(f"--header must be 'name: value'; got {text!r}.")
        headers[name.strip()] = value.strip()
    files = (FLAGS.ca_file, FLAGS.cert_file, FLAGS.key_file, FLAGS.tls_server_name)
    return settings_lib.ClientSettings(
        FLAGS.server,
        timeout_secs=FLAGS.timeout_secs,
        balance=FLAGS.balance,
        tls=settings_lib.TlsSettings(*files) if FLAGS.tls or any(files) else None,
        headers=headers,
        compression=FLAGS.compression,
    )


def main(argv: Sequence[str]) -> int:
    """Does what the flags say; returns the exit code."""
    if len(argv) > 1:
        _fail(f"unexpected argument {argv[1]!r}; every setting is a flag.")
    query, connection = settings_from_flags()
    try:
        with _readers_that_leave():
            code = _do(query, connection)
            sys.stdout.flush()
            return code
    except errors.RequestError as error:
        _fail(str(error))
    except errors.ClientError as error:
        _fail(str(error), EXIT_FAILED)
    except KeyboardInterrupt:
        _fail("interrupted.", EXIT_INTERRUPTED)
    return 0


def _do(query: QuerySettings, connection: settings_lib.ClientSettings) -> int:
    """Does what the flags say; returns the exit code."""
    if FLAGS.load_test:
        return measure(query, connection, FLAGS.load_test_secs)
    if not (FLAGS.status or FLAGS.metadata):
        return run(query, connection)
    if _lists_models():
        print_all_statuses(connection)
        return 0
    with client_lib.PredictionClient(connection, query.model) as client:
        if FLAGS.status:
            print_status(client, query.version)
        if FLAGS.metadata:
            print_metadata(client, query)
    return 0


@contextlib.contextmanager
def _readers_that_leave() -> Iterator[None]:
    """That nobody reads standard output to its end (`| head`) is no failure; the rest is dropped."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def cli() -> NoReturn:
    """Runs the program with the flags of the command line."""
    app.run(lambda argv: sys.exit(main(argv)), flags_parser=_parse)
    raise AssertionError("app.run does not return")


def _parse(argv: list[str]) -> list[str]:
    """Returns what is no flag; answers --help, and refuses wrong flags with one sentence."""
    flags.FLAGS(argv[:1])  # absl's own flags keep their defaults
    if any(argument in _HELP for argument in argv[1:]):
        with _readers_that_leave():
            print(help_text(), flush=True)
        sys.exit(0)
    try:
        return FLAGS(argv)
    except flags.Error as error:
        message = str(error).removeprefix("ERROR:: ").rstrip(".")
        _fail(f"{message}. Run {_PROGRAM} --help for the list of flags.")


def help_text() -> str:
    """Returns what the program does, then its flags by groups."""
    assert __doc__
    lines = [__doc__.strip()]
    for title, names in _GROUPS.items():
        lines += ["", f"{title}:"]
        for name in names:
            flag = FLAGS[name]
            if isinstance(flag, flags.BooleanFlag):
                lines.append(f"  --{name}")
            else:
                default = f" (default: {flag.default})" if flag.default not in (None, []) else ""
                lines.append(f"  --{name}=...{default}")
            lines += textwrap.wrap(
                " ".join(flag.help.split()), 92, initial_indent=" " * 8, subsequent_indent=" " * 8
            )
    return "\n".join([*lines, "", "Flags can also stand in a file, one a line: --flagfile=FILE"])


def _fail(message: str, code: int = EXIT_WRONG_REQUEST) -> NoReturn:
    """Prints one sentence on standard error and ends the program."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    cli()
