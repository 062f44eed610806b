"""A loopback front before one server: adds TLS, and writes down what was asked and answered.

The status list suite follows only https addresses.  The front speaks TLS with a throw-away certificate and exchanges
its own address for the server's in both directions, so a document that comes back is, byte for byte, the one that left.
"""

from __future__ import annotations

import datetime as dt
import http.client
import ipaddress
import json
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

MARK = "/__test/"  # the trace hook says here which test runs now
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "date", "server"}
MAX_BODY = 4 * 1024 * 1024  # bytes; far above what a suite sends


class Trace:
    """Collects exchanges, one JSON line each, under the title of the running test."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._title, self._lock = path, "(before the first test)", threading.Lock()

    def begin(self, title: str) -> None:
        self._title = title

    def record(self, **exchange: Any) -> None:
        if self._path is None:
            return
        with self._lock, self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"test": self._title, **exchange}) + "\n")


class Addresses:
    """Which address stands for which; all fronts of a run share them, since documents travel between servers."""

    def __init__(self) -> None:
        self._pairs: list[tuple[bytes, bytes]] = []

    def add(self, own: str, target: str) -> None:
        self._pairs.append((own.encode(), target.encode()))

    def inward(self, body: bytes) -> bytes:
        for own, target in self._pairs:
            body = body.replace(own, target)
        return body

    def outward(self, body: bytes) -> bytes:
        for own, target in self._pairs:
            body = body.replace(target, own)
        return body


@contextmanager
def front(target: str, *, tls: bool, trace: Trace, addresses: Addresses) -> Iterator[str]:
    """Stand before `target` while the block runs; yield the address to use instead."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    own = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    addresses.add(own, target)
    server.RequestHandlerClass = _handler(target, trace, addresses)
    server.daemon_threads = True
    if tls:
        server.socket = _tls_context().wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield own
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(target: str, trace: Trace, addresses: Addresses) -> type[BaseHTTPRequestHandler]:
    there = urlsplit(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            if self.path.startswith(MARK):
                trace.begin(unquote(self.path.removeprefix(MARK)))
                self._answer(204, {}, b"")
                return
            body = self.rfile.read(min(int(self.headers.get("content-length") or 0), MAX_BODY))
            sent = addresses.inward(body)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            headers["Host"] = there.netloc
            kind = http.client.HTTPSConnection if there.scheme == "https" else http.client.HTTPConnection
            connection = kind(there.hostname or "", there.port, timeout=60)
            try:
                connection.request(self.command, there.path + self.path, body=sent or None, headers=headers)
                answer = connection.getresponse()
                received = answer.read(MAX_BODY)
            finally:
                connection.close()
            trace.record(
                method=self.command,
                path=self.path,
                accept=self.headers.get("accept"),
                request=_readable(sent),
                status=answer.status,
                response=_readable(received),
            )
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP}
            self._answer(answer.status, kept, addresses.outward(received))

        do_GET = do_POST = do_PUT = do_DELETE = _pass_on

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, addresses.outward(value.encode()).decode())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay silent: the trace is the log."""

    return Handler


def _readable(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode("utf-8", "replace")


def _tls_context() -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as pem:
        pem.write(certificate.public_bytes(serialization.Encoding.PEM))
        pem.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        pem.flush()
        context.load_cert_chain(pem.name)
    return context
