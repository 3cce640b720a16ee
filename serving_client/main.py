"""Asks a model on a server that speaks TensorFlow Serving's API, for every row of a file.

    estimator-query --server=localhost:8500 --model=census --input=people.csv --output=answers.jsonl

The command is documented in docs/client.md. Exit codes: 0 done, 1 the server failed or did not
answer, 2 the request was wrong.
"""

import dataclasses
import itertools
import os
import sys
import textwrap
from typing import Any, Iterator, NoReturn, Optional, Sequence

from absl import app, flags
import tqdm

from serving_client import client as client_lib
from serving_client import errors, questions
from serving_client import rows as rows_lib
from serving_client import settings as settings_lib

EXIT_FAILED = 1
EXIT_WRONG_REQUEST = 2
EXIT_INTERRUPTED = 130

_PROGRAM = "estimator-query"
_HELP = ("-h", "-help", "--help", "--helpshort", "--helpfull", "-?")


@dataclasses.dataclass(frozen=True)
class QuerySettings:
    """What to ask.

    Attributes:
        model: The model's name on the server.
        version: Number of its version, or None.
        version_label: Label of its version, or None.
        signature_name: Which signature; None chooses one by the columns.
        input: CSV or JSON-lines file, `-` for standard input; None asks for no rows.
        output: File for the answers, `-` for standard output.
        format: `csv` or `jsonl`, what standard input holds; None goes by the name of the file.
        batch_size: Rows sent in one request.
    """

    model: str
    version: Optional[int] = None
    version_label: Optional[str] = None
    signature_name: Optional[str] = None
    input: Optional[str] = None
    output: str = rows_lib.STANDARD
    format: Optional[str] = None
    batch_size: int = 100

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise errors.InputError(f"--batch_size must be 1 or more; got {self.batch_size}.")
        if self.version is not None and self.version_label is not None:
            raise errors.InputError("Give --version or --version_label, not both.")
        if self.input is not None:
            rows_lib.file_format(self.input, self.format)
        if self.output != rows_lib.STANDARD:
            rows_lib.file_format(self.output, None)


# Of this program alone, so that another program's flags of the same names are none of its business.
FLAGS = flags.FlagValues()


def _define_flags() -> dict[str, tuple[str, ...]]:
    """Defines the flags; returns their names by the headings of --help."""
    query, connection = QuerySettings, settings_lib.ClientSettings
    own: dict[str, Any] = {"flag_values": FLAGS}
    flags.DEFINE_string("server", None, "host:port of the server's gRPC port; required.", **own)
    flags.DEFINE_string("model", None, "Name of the model on the server; required.", **own)
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
    flags.DEFINE_string(
        "input",
        None,
        "File with the rows: .csv with a header, .jsonl with an object a line, or one of them "
        "with .gz; - for standard input.",
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
    flags.DEFINE_integer("batch_size", query.batch_size, "Rows in one request.", **own)
    flags.DEFINE_float(
        "timeout_secs", connection.timeout_secs, "Deadline of each request, in seconds.", **own
    )
    flags.DEFINE_bool("status", False, "Print the state of the model's versions and exit.", **own)
    flags.DEFINE_bool("metadata", False, "Print the model's signatures and exit.", **own)
    return {
        "Whom to ask": ("server", "model", "version", "version_label", "signature_name"),
        "What to ask": ("input", "format", "output", "batch_size", "timeout_secs"),
        "Look only": ("status", "metadata"),
    }


_GROUPS = _define_flags()


def run(query: QuerySettings, connection: settings_lib.ClientSettings) -> int:
    """Asks for every row of the input and writes the answers; returns how many there were.

    Raises:
        errors.ClientError: Something went wrong; a file of answers is then not written.
    """
    assert query.input is not None
    rows = rows_lib.read(query.input, query.format)
    first = next(rows, None)
    if first is None:
        raise errors.InputError(f"{query.input} has no rows.")
    with client_lib.PredictionClient(connection, query.model) as client:
        found = client.model_metadata(query.version, query.version_label)
        wanted = query.signature_name or ""
        question = questions.choose(found, wanted, first.values)
        for note in questions.notes(question, found, wanted, first.values):
            _note(note)
        batches = _batches(itertools.chain([first], rows), query.batch_size)
        with rows_lib.open_output(query.output) as write, _progress() as progress:
            count = 0
            for batch in batches:
                answers = questions.ask(
                    client, question, batch, query.input, query.version, query.version_label
                )
                for row, answer in zip(batch, answers, strict=True):
                    write(row.number, answer)
                count += len(batch)
                progress.update(len(batch))
    return count


def print_status(client: client_lib.PredictionClient, version: Optional[int]) -> None:
    """Prints a line for each version of the client's model."""
    for one in client.model_status(version):
        reason = f"  error {one.error_code}: {one.error_message}" if one.error_code else ""
        print(f"{client.model} version {one.version}: {one.state}{reason}")


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
        if not FLAGS[name].value:
            _fail(f"--{name} is required. Run {_PROGRAM} --help for the list of flags.")
    if FLAGS.input is None and not (FLAGS.status or FLAGS.metadata):
        _fail("--input is required, or one of --status and --metadata.")
    values: dict[str, Any] = {
        field.name: FLAGS[field.name].value for field in dataclasses.fields(QuerySettings)
    }
    try:
        connection = settings_lib.ClientSettings(FLAGS.server, timeout_secs=FLAGS.timeout_secs)
        return QuerySettings(**values), connection
    except ValueError as error:
        _fail(str(error))


def main(argv: Sequence[str]) -> int:
    """Does what the flags say; returns the exit code."""
    if len(argv) > 1:
        _fail(f"unexpected argument {argv[1]!r}; every setting is a flag.")
    query, connection = settings_from_flags()
    try:
        if FLAGS.status or FLAGS.metadata:
            with client_lib.PredictionClient(connection, query.model) as client:
                if FLAGS.status:
                    print_status(client, query.version)
                if FLAGS.metadata:
                    print_metadata(client, query)
        else:
            count = run(query, connection)
            if query.output != rows_lib.STANDARD:
                _note(f"{count} rows answered, written to {query.output}.")
        sys.stdout.flush()
    except errors.RequestError as error:
        _fail(str(error))
    except errors.ClientError as error:
        _fail(str(error), EXIT_FAILED)
    except KeyboardInterrupt:
        _fail("interrupted.", EXIT_INTERRUPTED)
    except BrokenPipeError:  # the reader of standard output, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def cli() -> NoReturn:
    """Runs the program with the flags of the command line."""
    app.run(lambda argv: sys.exit(main(argv)), flags_parser=_parse)
    raise AssertionError("app.run does not return")


def _parse(argv: list[str]) -> list[str]:
    """Returns what is no flag; answers --help, and refuses wrong flags with one sentence."""
    flags.FLAGS(argv[:1])  # absl's own flags keep their defaults
    if any(argument in _HELP for argument in argv[1:]):
        print(help_text())
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
                default = "" if flag.default is None else f" (default: {flag.default})"
                lines.append(f"  --{name}=...{default}")
            lines += textwrap.wrap(flag.help, 92, initial_indent=" " * 8, subsequent_indent=" " * 8)
    return "\n".join([*lines, "", "Flags can also stand in a file, one a line: --flagfile=FILE"])


def _batches(rows: Iterator[rows_lib.Row], size: int) -> Iterator[list[rows_lib.Row]]:
    """Yields the rows in lists of size; the last may be shorter."""
    while batch := list(itertools.islice(rows, size)):
        yield batch


def _progress() -> tqdm.tqdm:
    """Returns a bar of rows on standard error; silent if that is no terminal, or for a second."""
    return tqdm.tqdm(unit=" rows", disable=None, delay=1, leave=False)


def _note(text: str) -> None:
    """Prints a line on standard error."""
    print(f"note: {text}", file=sys.stderr)


def _fail(message: str, code: int = EXIT_WRONG_REQUEST) -> NoReturn:
    """Prints one sentence on standard error and ends the program."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    cli()
