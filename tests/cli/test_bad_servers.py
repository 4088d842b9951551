"""Something else answers in Batch's place: one clear message, exit code 1, nothing written, no key let out."""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import threading
from pathlib import Path

import pytest

from reconciler.batch import http as exchange
from reconciler.errors import ConfigurationError
from tests.batch.kit import Say, Seen, serving
from tests.cli.kit import KEYS, Command

HTML = {"content-type": "text/html"}
ANSWERS = {
    "a redirection": (Say(302, b"", {"location": "http://127.0.0.1:9/steal"}), "redirections are not followed"),
    "a login page": (Say(200, b"<html>Log in</html>", HTML), "a proxy, a login page"),
    "a proxy that refuses": (Say(403, b"<html>denied</html>", HTML), "refused to list the audiences of destination"),
    "a page that says maintenance": (Say(503, b"<html>\x1b[2J</html>", HTML), "did not answer GET"),
    "a connection that is cut": (Say(reset=True), "did not answer GET"),
    "JSON that is no object": (Say(200, []), "not a JSON object"),
    "no list": (Say(200, {"audiences": 3}), "no array"),
    "a nameless audience": (Say(200, {"audiences": [1]}), "no name"),
    "bytes": (Say(200, b"\xff\xfe\x00"), "not a JSON object"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_another_answer(batchctl: Command, name: str) -> None:
    answer, says = ANSWERS[name]
    with serving(by=lambda _: answer) as script:
        batchctl.url = script.url
        done = batchctl("apply", "--auto-approve")
    assert_refused(batchctl, done.returncode, done.stderr, says)
    assert {seen.method for seen in script.seen} == {"GET"}


def test_an_answer_that_repeats_the_keys(batchctl: Command) -> None:
    def echo(seen: Seen) -> Say:
        return Say(400, {"error_code": "X", "error_message": f"{seen.path} {json.dumps(seen.headers)}"})

    with serving(by=echo) as script:
        batchctl.url = script.url
        done = batchctl("plan")
    assert any(key in seen.path + str(seen.headers) for key in KEYS.values() for seen in script.seen)
    assert_refused(batchctl, done.returncode, done.stderr, "a key may be wrong")


def test_no_tls_where_tls_is_expected(batchctl: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer_plainly, args=(server,), daemon=True).start()
        batchctl.url = f"https://127.0.0.1:{server.getsockname()[1]}"
        done = batchctl("plan")
    assert_refused(batchctl, done.returncode, done.stderr, "did not answer GET")


def answer_plainly(server: socket.socket) -> None:
    """HTTP to whoever greets in TLS, until the socket is closed."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.recv(1024)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_certificate_nobody_signed(batchctl: Command, tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        batchctl.url = f"https://127.0.0.1:{server.server_port}"
        done = batchctl("plan")
        server.shutdown()
    assert_refused(batchctl, done.returncode, done.stderr, "the TLS certificate of 127.0.0.1 is not trusted")


@pytest.mark.parametrize("text", [None, "no certificate"], ids=["missing", "rubbish"])
def test_certificates_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    file = tmp_path / "certificates.pem"
    if text:
        file.write_text(text)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    exchange._trusted.cache_clear()
    with pytest.raises(ConfigurationError, match="certificates to trust cannot be read"):
        exchange.Http("https://api.batch.com", headers={}, timeout=1, destination="app")


def certificate(folder: Path) -> Path:
    """A new key and a certificate signed with it."""
    pytest.importorskip("cryptography")
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "both.pem"
    path.write_bytes(private + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


def assert_refused(batchctl: Command, code: int, shown: str, says: str) -> None:
    """One message, nothing but it and retries, and no state."""
    assert code == 1, shown
    assert says in shown
    assert sum(line.startswith("error: ") for line in shown.splitlines()) == 1
    assert "\x1b" not in shown
    assert not (batchctl.root / "state" / "state.json").exists()
