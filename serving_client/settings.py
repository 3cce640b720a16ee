"""What a client needs to know before its first call."""

import dataclasses
import re
from typing import Mapping, Optional, Sequence, Union
import urllib.parse

COMPRESSIONS = ("none", "gzip", "deflate")
BALANCES = ("round_robin", "pick_first")

# A comma is part of the name in gRPC's lists of literal addresses, ipv4:10.0.0.1:8500,10.0.0.2:8500.
_ONE_TARGET = ("ipv4:", "ipv6:")
_REST = ("http://", "https://")
# gRPC's rule for the name of a header; HTTP allows more.
_HEADER_NAME = re.compile(r"[0-9a-z_.-]+", re.IGNORECASE)
_HEADER_TEXT = re.compile(r"[\x20-\x7e]*")

Headers = Mapping[str, Union[str, bytes]]


@dataclasses.dataclass(frozen=True)
class TlsSettings:
    """How the connection is encrypted; all files are PEM.

    Attributes:
        ca_file: Certificates that the server's one must come from; None takes those that gRPC (or
            Python, for REST) brings or finds on the machine.
        cert_file: Certificate that this client shows, for servers that ask for one; or None.
        key_file: The private key of cert_file, or None.
        server_name: Name that the server's certificate must have, if it is not that of the address.
    """

    ca_file: Optional[str] = None
    cert_file: Optional[str] = None
    key_file: Optional[str] = None
    server_name: Optional[str] = None

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.key_file is None):
            given, missing = "cert_file", "key_file"
            if self.cert_file is None:
                given, missing = missing, given
            raise ValueError(f"{given} needs {missing}; got none.")
        for name in ("ca_file", "cert_file", "key_file"):
            path = getattr(self, name)
            if path is None:
                continue
            try:
                with open(path, "rb"):
                    pass
            except OSError as error:
                raise ValueError(
                    f"{name} must be a file that can be read; got {path!r} ({error.strerror})."
                ) from error


@dataclasses.dataclass(frozen=True)
class ClientSettings:
    """Where the server is and how long to wait for it.

    Attributes:
        address: `host:port` of the server's gRPC port, or any other gRPC target such as
            `unix:/run/serving.sock`; `http://host:port` (or `https://`, with a path if a gateway
            has one) of its REST port. Several servers of the same models: a sequence of addresses,
            or one text with commas between them.
        timeout_secs: Deadline of one call, with its repetitions, in seconds.
        retry_timeout_secs: For how many seconds a call is repeated, or passed on to the next
            address, while a server is unavailable; 0 never does either. No other failure is
            repeated. A server that was lost in the middle of a call may have taken it, so that such a
            call may run twice.
        retry_first_wait_secs: Longest wait before the first repetition, in seconds.
        retry_max_wait_secs: Longest wait between two repetitions, in seconds; waits double up to it.
            A server that was unavailable is asked last for as long.
        max_message_bytes: Largest message sent or received, in bytes; -1 is no limit. (gRPC's own
            limit for what it receives is 4 MiB: about a million float32 numbers.)
        retry_budget_per_sec: How many repetitions a second all calls of a client may make together...
        retry_budget_share: ... and how many more for each call, so that many calls to servers that
            are down do not become many times as many.
        retry_overloaded: Whether to repeat a call also that the server refused as too much for now
            (RESOURCE_EXHAUSTED).
        balance: `round_robin` asks the addresses in turn; `pick_first` asks the first as long as it
            answers.
        connect_timeout_secs: How long one connection may take to be made, in seconds; below
            retry_timeout_secs, so that a machine that is silent leaves time for the next address.
        keepalive_secs: Seconds without a byte after which gRPC asks whether the server is still
            there, also between calls; 0 never. A server may take offence at less than 300.
        tls: How the connection is encrypted; None for gRPC is not at all, and for `https://` the
            defaults.
        headers: Sent with every call (gRPC calls them metadata). Values are text; those of names
            that end in `-bin` are bytes, for gRPC only.
        compression: Of requests: `none`, `gzip`, or, for gRPC only, `deflate`.
        check_shapes: Whether inputs must have the shapes that the signature states.
    """

    address: Union[str, Sequence[str]]
    timeout_secs: float = 60.0
    retry_timeout_secs: float = 5.0
    retry_first_wait_secs: float = 0.1
    retry_max_wait_secs: float = 1.0
    max_message_bytes: int = -1
    retry_budget_per_sec: float = 10.0
    retry_budget_share: float = 0.2
    retry_overloaded: bool = False
    balance: str = "round_robin"
    connect_timeout_secs: float = 1.0
    keepalive_secs: float = 0.0
    tls: Optional[TlsSettings] = None
    headers: Headers = dataclasses.field(default_factory=dict)
    compression: str = "none"
    check_shapes: bool = True

    def __post_init__(self) -> None:
        if not self.addresses or not all(self.addresses):
            raise ValueError(
                f"address must be a gRPC target such as localhost:8500; got {self.address!r}."
            )
        if len({address.startswith(_REST) for address in self.addresses}) > 1:
            raise ValueError(
                f"address must be all of gRPC or all of REST (http://...); got {self.shown_address}."
            )
        if self.tls and any(address.startswith("http://") for address in self.addresses):
            raise ValueError(f"tls needs addresses with https://; got {self.shown_address}.")
        if self.is_rest:
            for address in self.addresses:
                _check_url(address)
        for name in (
            "timeout_secs",
            "retry_first_wait_secs",
            "retry_max_wait_secs",
            "connect_timeout_secs",
        ):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0; got {getattr(self, name)!r}.")
        for name in (
            "retry_timeout_secs",
            "retry_budget_per_sec",
            "retry_budget_share",
            "keepalive_secs",
        ):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more; got {getattr(self, name)!r}.")
        if 0 < self.retry_timeout_secs <= self.connect_timeout_secs:
            raise ValueError(
                "connect_timeout_secs must be below retry_timeout_secs, or no other address is asked "
                f"in time; got {self.connect_timeout_secs!r} and {self.retry_timeout_secs!r}."
            )
        if self.max_message_bytes < -1 or self.max_message_bytes == 0:
            raise ValueError(
                "max_message_bytes must be a number of bytes, or -1 for no limit; "
                f"got {self.max_message_bytes!r}."
            )
        if self.balance not in BALANCES:
            raise ValueError(f"balance must be one of {', '.join(BALANCES)}; got {self.balance!r}.")
        check_compression(self.compression, self.is_rest)
        check_headers(self.headers, self.is_rest)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses one by one."""
        if not isinstance(self.address, str):
            return tuple(self.address)
        if self.address.startswith(_ONE_TARGET):
            return (self.address,)
        return tuple(address.strip() for address in self.address.split(","))

    @property
    def shown_address(self) -> str:
        """The addresses in one text, for messages."""
        return ", ".join(self.addresses)

    @property
    def is_rest(self) -> bool:
        """Whether the addresses are of REST ports."""
        return self.addresses[0].startswith(_REST)


def _check_url(address: str) -> None:
    """Raises ValueError if an address of a REST port cannot be understood."""
    try:
        parts = urllib.parse.urlsplit(address)
        is_known = bool(parts.hostname) and parts.port != 0  # reading the port checks it
    except ValueError:
        is_known = False
    if not is_known:
        raise ValueError(f"address must be http://host:port or https://host:port; got {address!r}.")


def check_compression(compression: str, is_rest: bool) -> None:
    """Raises ValueError if requests cannot be compressed this way."""
    known = COMPRESSIONS[:2] if is_rest else COMPRESSIONS
    if compression not in known:
        raise ValueError(f"compression must be one of {', '.join(known)}; got {compression!r}.")


def merge_headers(headers: Headers, own: Headers) -> Headers:
    """Returns headers with the own ones of a call, which replace those of the same name in any case."""
    names = {name.lower() for name in own}
    kept = {name: value for name, value in headers.items() if name.lower() not in names}
    return {**kept, **own}


def check_headers(headers: Headers, is_rest: bool) -> None:
    """Raises ValueError if these cannot be sent as headers; the message does not show their values."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower().startswith("grpc-"):
            raise ValueError(
                "A header's name has letters, digits and any of _.- and does not begin with grpc-; "
                f"got {name!r}."
            )
        if name.lower().endswith("-bin"):
            if is_rest or not isinstance(value, bytes):
                raise ValueError(f"Header {name!r} must have bytes, and goes over gRPC only.")
        elif not isinstance(value, str) or not _HEADER_TEXT.fullmatch(value):
            raise ValueError(f"Header {name!r} must have text of printable ASCII characters.")
