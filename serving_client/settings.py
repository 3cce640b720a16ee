"""What a client needs to know before its first call."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ClientSettings:
    """Where the server is and how long to wait for it.

    Attributes:
        address: `host:port` of the server's gRPC port, or any other gRPC target such as
            `unix:/run/serving.sock`.
        timeout_secs: Deadline of one call, with its repetitions, in seconds.
        retry_timeout_secs: For how many seconds a call is repeated while the server is
            unavailable; 0 never repeats it. No other failure is ever repeated.
        retry_first_wait_secs: Longest wait before the first repetition, in seconds.
        retry_max_wait_secs: Longest wait between two repetitions, in seconds; waits double up to it.
        max_message_bytes: Largest message sent or received, in bytes; -1 is no limit. (gRPC's own
            limit for what it receives is 4 MiB: about a million float32 numbers.)
    """

    address: str
    timeout_secs: float = 60.0
    retry_timeout_secs: float = 5.0
    retry_first_wait_secs: float = 0.1
    retry_max_wait_secs: float = 1.0
    max_message_bytes: int = -1

    def __post_init__(self) -> None:
        if not self.address:
            raise ValueError("address must be a gRPC target such as localhost:8500; got ''.")
        for name in ("timeout_secs", "retry_first_wait_secs", "retry_max_wait_secs"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0; got {getattr(self, name)!r}.")
        if not self.retry_timeout_secs >= 0:
            raise ValueError(
                f"retry_timeout_secs must be 0 or more; got {self.retry_timeout_secs!r}."
            )
        if self.max_message_bytes < -1 or self.max_message_bytes == 0:
            raise ValueError(
                "max_message_bytes must be a number of bytes, or -1 for no limit; "
                f"got {self.max_message_bytes!r}."
            )
