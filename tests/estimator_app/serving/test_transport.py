"""Where gRPC listens: port, Unix socket, TLS, arguments; asked of servers of their own process."""

import pathlib
import shutil
import socket
import ssl
import tempfile
import urllib.request

import grpc
import numpy as np
import pytest
import trustme

from estimator_app.serving import call_queue, credentials, server
from estimator_app.serving import settings as serving_settings
from estimator_app.serving import transport
from export import errors
from serving_client import wire
from tests import running, saved_models

_DEADLINE_SECS = 30.0


def _answer(channel):
    """What the plain model makes of 3."""
    method = wire.METHODS["Predict"]
    call = channel.unary_unary(
        method.path, method.request.SerializeToString, method.response.FromString
    )
    request = wire.PredictRequest()
    request.model_spec.name = "default"
    request.inputs["x"].CopyFrom(wire.to_tensor_proto(np.float32([[3]])))
    return wire.to_array(call(request, timeout=_DEADLINE_SECS).outputs["y"]).tolist()


def _pem(*blobs):
    return b"".join(blob.bytes() for blob in blobs).decode()


def _ssl_config(path, authority, client_verify=False, **texts):
    """Writes the file of a server called localhost; `texts` replace what it would say."""
    pair = authority.issue_cert("localhost")
    fields = {
        "server_key": _pem(pair.private_key_pem),
        "server_cert": _pem(*pair.cert_chain_pems),
        **({"custom_ca": _pem(authority.cert_pem)} if client_verify else {}),
        **texts,
    }
    lines = []
    for name, text in fields.items():
        escaped = text.replace("\n", "\\n")
        lines.append(f'{name}: "{escaped}"')
    path.write_text("\n".join([*lines, f"client_verify: {str(client_verify).lower()}\n"]))
    return path


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def folder():
    """A folder whose path is short enough for a Unix socket."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="srv-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def closed(plain_base, folder, authority):
    """Speaks mutual TLS on a port and a socket, TLS on its REST port."""
    mutual = _ssl_config(folder / "mutual.txt", authority, client_verify=True)
    simple = _ssl_config(folder / "simple.txt", authority)
    flags = (
        f"--ssl_config_file={mutual}",
        f"--rest_api_ssl_config_file={simple}",
        f"--grpc_socket_path={folder / 'closed.sock'}",
        "--rest_api_port=-1",
    )
    with socket.socket() as free:
        # A port beside a socket has to be named, because 0 turns it off.
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running.run_server(plain_base, *flags, f"--port={port}") as process:
        yield process


@pytest.fixture(scope="module")
def local(plain_base, folder):
    """Listens on a socket alone, takes small messages only."""
    flags = (
        f"--grpc_socket_path={folder / 'local.sock'}",
        "--grpc_channel_arguments=grpc.max_receive_message_length=4096,no.such.argument=x",
        "--enable_serialization_as_tensor_content",
        "--enable_signature_method_name_check",
        "--enable_profiler=false",
    )
    with running.run_server(plain_base, *flags) as process:
        yield process


# ----------------------------------------------------------------------------------- Unix socket


def test_a_socket_alone(local, folder):
    assert local.port is None
    assert f"gRPC unix:{folder / 'local.sock'}\n" in local.log.read_text()
    with grpc.insecure_channel(f"unix:{folder / 'local.sock'}") as channel:
        assert _answer(channel) == [[6.0]]


def test_a_socket_in_use_is_refused(local, folder):
    with pytest.raises(errors.ServableError) as caught:
        transport.claim_socket(str(folder / "local.sock"))
    assert str(caught.value) == (
        f"UNAVAILABLE: Expected {folder / 'local.sock'} to be free for a Unix socket, found it in "
        "use. Stop the program that uses it, or choose another --grpc_socket_path."
    )


def test_what_a_dead_server_left_is_removed(folder):
    path = folder / "left.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    transport.claim_socket(str(path))
    assert not path.exists()


def test_a_path_that_serves_for_no_socket(folder):
    (folder / "file").write_text("kept")
    for path, found in (
        (folder / "file", "a file that is no socket"),
        (folder / "no" / "x.sock", f"no directory {folder / 'no'}"),
        (folder / ("x" * 120), "AF_UNIX path too long"),
    ):
        with pytest.raises(errors.ServableError) as caught:
            transport.claim_socket(str(path))
        assert f"found {found}. " in str(caught.value)
    assert (folder / "file").read_text() == "kept"


def test_the_socket_goes_with_the_server(plain_base, folder):
    path = folder / "short.sock"
    settings = serving_settings.ServerSettings(
        port=0, grpc_socket_path=str(path), model_base_path=str(plain_base)
    )
    with server.ModelServer(settings):
        assert path.is_socket()
    assert not path.exists()


# ------------------------------------------------------------------------------------- arguments


def test_channel_arguments_reach_grpc(local, folder):
    with grpc.insecure_channel(f"unix:{folder / 'local.sock'}") as channel:
        call = channel.unary_unary(wire.METHODS["Predict"].path)
        with pytest.raises(grpc.RpcError) as caught:
            call(bytes(5000), timeout=_DEADLINE_SECS)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_tensor_content(local, folder):
    with grpc.insecure_channel(f"unix:{folder / 'local.sock'}") as channel:
        method = wire.METHODS["Predict"]
        call = channel.unary_unary(
            method.path, method.request.SerializeToString, method.response.FromString
        )
        request = wire.PredictRequest()
        request.model_spec.name = "default"
        request.inputs["x"].CopyFrom(wire.to_tensor_proto(np.float32([[3], [4]])))
        answer = call(request, timeout=_DEADLINE_SECS).outputs["y"]
    assert answer.tensor_content == np.float32([6, 8]).tobytes()
    assert list(answer.float_val) == []


# ------------------------------------------------------------------------------------------- TLS


def _mutual(authority, client_authority):
    client = client_authority.issue_cert("client")
    return grpc.ssl_channel_credentials(
        authority.cert_pem.bytes(),
        client.private_key_pem.bytes(),
        b"".join(blob.bytes() for blob in client.cert_chain_pems),
    )


def test_mutual_tls_on_port_and_socket(closed, folder, authority):
    chosen = _mutual(authority, authority)
    named = (("grpc.ssl_target_name_override", "localhost"),)
    for address in (closed.address, f"unix:{folder / 'closed.sock'}"):
        with grpc.secure_channel(address, chosen, named) as channel:
            assert _answer(channel) == [[6.0]]


@pytest.mark.parametrize("caller", ["plain", "no certificate", "certificate of another authority"])
def test_other_callers_are_shut_out(closed, authority, caller):
    named = (("grpc.ssl_target_name_override", "localhost"), ("grpc.enable_retries", 0))
    if caller == "plain":
        channel = grpc.insecure_channel(closed.address)
    elif caller == "no certificate":
        chosen = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
        channel = grpc.secure_channel(closed.address, chosen, named)
    else:
        channel = grpc.secure_channel(closed.address, _mutual(authority, trustme.CA()), named)
    with channel, pytest.raises(grpc.RpcError) as caught:
        _answer(channel)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


def test_rest_over_tls(closed, authority):
    context = ssl.create_default_context(cadata=_pem(authority.cert_pem))
    url = f"https://localhost:{closed.rest_port}/v1/models/default:predict"
    body = b'{"instances": [[3.0]]}'
    with urllib.request.urlopen(url, body, _DEADLINE_SECS, context=context) as answer:
        assert answer.read().split() == b'{ "predictions": [[6.0] ] }'.split()
    with pytest.raises(OSError):  # The connection is closed without an answer.
        urllib.request.urlopen(url.replace("https", "http"), body, _DEADLINE_SECS)


def test_rest_over_mutual_tls(folder, authority):
    path = _ssl_config(folder / "rest.txt", authority, client_verify=True)
    context = credentials.read(str(path)).ssl_context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == 1


def test_no_file_is_no_tls():
    assert credentials.read("") is None


def test_the_key_is_not_shown(folder, authority):
    tls = credentials.read(str(_ssl_config(folder / "shown.txt", authority)))
    assert "PRIVATE" not in repr(tls)


def test_verifying_clients_needs_an_authority(folder, authority):
    path = _ssl_config(folder / "no_ca.txt", authority, client_verify=True, custom_ca="")
    with pytest.raises(errors.ServableError) as caught:
        credentials.read(str(path))
    assert str(caught.value) == (
        f"INVALID_ARGUMENT: Expected custom_ca in {path}, because client_verify is on, found none. "
        "Put the PEM text of the authority that signs the clients' certificates there."
    )


def test_texts_that_are_no_pair(folder, authority):
    other = _pem(authority.issue_cert("other").private_key_pem)
    for texts in (
        {"server_key": other},
        {"server_key": "/etc/server.key"},
        {"server_cert": ""},
        {"custom_ca": "nonsense"},
    ):
        path = _ssl_config(folder / "wrong.txt", authority, **texts)
        with pytest.raises(errors.ServableError) as caught:
            credentials.read(str(path))
        assert str(caught.value).startswith(
            f"INVALID_ARGUMENT: Expected server_key and server_cert in {path} to be the PEM texts"
        )
        assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize("flag", ["ssl_config_file", "rest_api_ssl_config_file"])
def test_a_missing_file_ends_the_start(tmp_path, flag):
    path = str(tmp_path / "none.txt")
    settings = serving_settings.ServerSettings(
        port=0, model_base_path=str(tmp_path), **{flag: path}
    )
    with pytest.raises(errors.ServableError) as caught:
        server.ModelServer(settings).start()
    assert caught.value.code is errors.Code.NOT_FOUND
    assert path in caught.value.message


def test_grpc_without_what_a_call_queue_needs_answers_by_itself(monkeypatch, tmp_path):
    monkeypatch.setattr(call_queue, "is_possible", lambda server: False)
    saved_models.write_plain_model(tmp_path, 1, 5.0)
    settings = serving_settings.ServerSettings(
        model_name="default", model_base_path=str(tmp_path), port=0
    )
    with server.ModelServer(settings) as served:
        with grpc.insecure_channel(served.grpc_addresses[0]) as channel:
            assert _answer(channel) == [[15.0]]
