"""What `estimator-query` is asked to do."""

import dataclasses
from typing import Optional

from serving_client import answers, errors
from serving_client import rows as rows_lib


@dataclasses.dataclass(frozen=True)
class QuerySettings:
    """What to ask, and where the answers go.

    Attributes:
        model: The model's name on the server.
        version: Number of its version, or None.
        version_label: Label of its version, or None.
        signature_name: Which signature; None chooses one by the columns.
        output_filter: Names of the outputs to compute; none given computes all.
        input: CSV, JSON-lines or Parquet file, `-` for standard input; None asks for no rows.
        format: What the input holds; None goes by the name of the file.
        output: File for the answers, `-` for standard output.
        key: Columns of the input that are written beside each answer.
        failures: File for the rows that cannot be answered, with the reason; None ends with an
            error at the first such row.
        batch_size: Rows sent in one request.
        concurrency: Requests under way at the same time.
        retry_secs: For how long a request is repeated while the server is away or overloaded, in
            seconds.
        resume: Whether to go on where the same command was interrupted.
    """

    model: str
    version: Optional[int] = None
    version_label: Optional[str] = None
    signature_name: Optional[str] = None
    output_filter: tuple[str, ...] = ()
    input: Optional[str] = None
    format: Optional[str] = None
    output: str = rows_lib.STANDARD
    key: tuple[str, ...] = ()
    failures: Optional[str] = None
    batch_size: int = 100
    concurrency: int = 4
    retry_secs: float = 60.0
    resume: bool = True

    def __post_init__(self) -> None:
        for name in ("batch_size", "concurrency"):
            if getattr(self, name) < 1:
                raise errors.InputError(f"--{name} must be 1 or more; got {getattr(self, name)}.")
        if not self.retry_secs >= 0:
            raise errors.InputError(f"--retry_secs must be 0 or more; got {self.retry_secs}.")
        if self.version is not None and self.version_label is not None:
            raise errors.InputError("Give --version or --version_label, not both.")
        if self.input is not None:
            rows_lib.file_format(self.input, self.format)
        if self.output != rows_lib.STANDARD:
            answers.file_format(self.output)
        if self.failures is not None:
            if answers.file_format(self.failures) != rows_lib.JSONL:
                raise errors.InputError(
                    f"--failures is written as JSON lines; got {self.failures!r}. Let its name end "
                    "in .jsonl or .jsonl.gz."
                )
            if self.failures == self.output:
                raise errors.InputError("--failures and --output must be two files; got one.")
