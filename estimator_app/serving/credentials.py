"""TLS of the server's ports, from the stock server's file: PEM texts in an SSLConfig.

    server_key: "-----BEGIN PRIVATE KEY-----\\n..."
    server_cert: "-----BEGIN CERTIFICATE-----\\n..."
    custom_ca: "-----BEGIN CERTIFICATE-----\\n..."
    client_verify: true

gRPC and REST take a file each, so that one may be open and the other not (TF Serving: server.cc,
ssl_config.proto; REST with TLS is an addition).
"""

import dataclasses
import ssl
import tempfile

import grpc

from estimator_app.serving import text_files
from export import errors


@dataclasses.dataclass(frozen=True)
class Tls:
    """What a port shows to its callers, and whom it lets in.

    Attributes:
        key: the server's private key, PEM text.
        certificate: its certificate, with those in between after it, PEM text.
        client_ca: the authorities that clients' certificates must come from, PEM text; may be empty.
        verify_clients: whether a client must show a certificate (mutual TLS).
    """

    key: str = dataclasses.field(repr=False)
    certificate: str
    client_ca: str
    verify_clients: bool

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """For a gRPC port."""
        return grpc.ssl_server_credentials(
            [(self.key.encode(), self.certificate.encode())],
            root_certificates=self.client_ca.encode() or None,
            require_client_auth=self.verify_clients,
        )

    def ssl_context(self) -> ssl.SSLContext:
        """For a port of Python's own.

        Raises:
            ssl.SSLError: key and certificate are no pair, or the authorities are no certificates.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        # Python reads the pair from files alone; only the owner can read this one, and it is gone
        # after the line.
        with tempfile.NamedTemporaryFile("w") as pair:
            pair.write(f"{self.key}\n{self.certificate}\n")
            pair.flush()
            # A key under a password must fail; without one Python asks at the terminal.
            context.load_cert_chain(pair.name, password="")
        if self.client_ca:
            context.load_verify_locations(cadata=self.client_ca)
        if self.verify_clients:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def read(path: str) -> Tls | None:
    """The TLS that a file describes; None without a file.

    Raises:
        errors.ServableError: the file cannot be read or parsed, or its texts do not serve.
    """
    if not path:
        return None
    config = text_files.read(path, text_files.SSLConfig)
    if config.client_verify and not config.custom_ca:
        raise errors.invalid_argument(
            f"Expected custom_ca in {path}, because client_verify is on, found none. "
            "Put the PEM text of the authority that signs the clients' certificates there."
        )
    tls = Tls(config.server_key, config.server_cert, config.custom_ca, config.client_verify)
    try:
        tls.ssl_context()
    except (ssl.SSLError, ValueError) as error:
        raise errors.invalid_argument(
            f"Expected server_key and server_cert in {path} to be the PEM texts of a key and its "
            f"certificate, and custom_ca that of certificates, found {error}. "
            "Put the texts themselves into the file, not the paths of theirs."
        ) from error
    return tls
