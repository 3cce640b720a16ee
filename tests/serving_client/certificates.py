"""Certificates for tests of TLS."""

import dataclasses
import pathlib

import grpc
import trustme

from serving_client import settings


@dataclasses.dataclass(frozen=True)
class Certificates:
    """An authority's certificate, and a certificate of it for the name models.test with its key; paths of PEM files."""

    ca_file: str
    cert_file: str
    key_file: str

    def server_credentials(self, client_verify: bool) -> grpc.ServerCredentials:
        """Returns what a gRPC server needs; with client_verify it asks callers for one of the same authority."""
        ca, cert, key = (
            pathlib.Path(path).read_bytes()
            for path in (self.ca_file, self.cert_file, self.key_file)
        )
        return grpc.ssl_server_credentials(
            [(key, cert)], ca if client_verify else None, client_verify
        )

    def tls(self, with_own: bool = False) -> settings.TlsSettings:
        """Returns a client's settings; with_own shows the certificate to the server."""
        own = (self.cert_file, self.key_file) if with_own else (None, None)
        return settings.TlsSettings(self.ca_file, *own, server_name="models.test")


def make(folder: pathlib.Path) -> Certificates:
    """Writes certificates that nobody else trusts."""
    authority = trustme.CA()
    pair = authority.issue_cert("models.test")
    files = [str(folder / name) for name in ("ca.pem", "cert.pem", "key.pem")]
    blobs = (authority.cert_pem, pair.cert_chain_pems[0], pair.private_key_pem)
    for path, blob in zip(files, blobs):
        blob.write_to_path(path)
    return Certificates(*files)
