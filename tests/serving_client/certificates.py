"""Certificates made by openssl for tests of TLS."""

import dataclasses
import pathlib
import shutil
import subprocess

import grpc
import pytest

from serving_client import settings


@dataclasses.dataclass(frozen=True)
class Certificates:
    """A certificate for the name models.test that vouches for itself, and its key; paths of PEM files."""

    cert_file: str
    key_file: str

    def server_credentials(self, client_verify: bool) -> grpc.ServerCredentials:
        """Returns what a gRPC server needs; with client_verify it asks callers for the same one."""
        cert, key = (pathlib.Path(path).read_bytes() for path in (self.cert_file, self.key_file))
        return grpc.ssl_server_credentials(
            [(key, cert)], cert if client_verify else None, client_verify
        )

    def tls(self, with_own: bool = False) -> settings.TlsSettings:
        """Returns a client's settings; with_own shows the certificate to the server."""
        own = (self.cert_file, self.key_file) if with_own else (None, None)
        return settings.TlsSettings(self.cert_file, *own, server_name="models.test")


def make(folder: pathlib.Path) -> Certificates:
    """Writes a certificate that is good for a day; skips the test where openssl is missing."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificates")
    cert_file, key_file = str(folder / "cert.pem"), str(folder / "key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-keyout", key_file, "-out", cert_file, "-subj", "/CN=models.test"),
            *("-addext", "subjectAltName=DNS:models.test"),
        ],
        check=True,
        capture_output=True,
    )
    return Certificates(cert_file, key_file)
