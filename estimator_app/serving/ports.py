"""Ports: whether one is free, and what to say if it is not."""

import errno
import os
import socket

from export import errors


def bind(host: str, port: int, flag: str, shared: bool = False) -> socket.socket:
    """A socket bound to the port, not listening yet; port 0 picks a free one.

    Args:
        host: name or address to listen on.
        port: the port.
        flag: name of the flag that chose it, for the sentence.
        shared: whether other sockets that are shared, too, may have the same port.

    Raises:
        errors.ServableError: `UNAVAILABLE`; the port is in use, or may not be used.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind)
        try:
            # As gRPC does: a port whose last connections are still closing is free.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind(address)
        except BaseException:
            bound.close()
            raise
        return bound
    except OSError as error:
        raise unusable(host, port, flag, error) from error


def unusable(host: str, port: int, flag: str, error: OSError | None = None) -> errors.ServableError:
    """The error for a port that cannot be had; without `error`, because it is in use."""
    found = "it in use"
    if error is not None and error.errno != errno.EADDRINUSE:
        found = error.strerror or os.strerror(error.errno or errno.EINVAL)
    return errors.ServableError(
        errors.Code.UNAVAILABLE,
        f"Expected port {port} of {host} to be free, found {found}. "
        f"Stop the program that uses it, or choose another --{flag}.",
    )


def address(host: str, port: int | None) -> str:
    """`host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
