"""TLS for our own listeners: asks each client for a certificate and takes any, so that tokens can be bound to it.

RFC 8705.  The handshake proves that the client holds the key of its certificate, and nothing else: whether anybody
vouches for it is judged later, by whoever needs to know.  The `ssl` module can only ask and refuse strangers at once,
which would shut out every self-signed certificate; hence OpenSSL's own binding, behind the interface asyncio expects.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from OpenSSL import SSL, crypto

from did_agent.errors import Misconfigured

MAX_CHUNK: Final = 16_384  # bytes of one TLS record
MAX_CHAIN: Final = 8  # certificates a client may send above its own
_CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all good
_PEM_END: Final = b"-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTLS:
    """The certificate of a listener, and whether it asks clients for theirs."""

    certificate: Path  # PEM, the chain included
    key: Path
    asks: bool = True

    def context(self) -> ssl.SSLContext:
        """Return what the listener speaks TLS with.

        Raises: Misconfigured.
        """
        try:
            return self._asking() if self.asks else self._plain()
        except (OSError, SSL.Error, ssl.SSLError) as error:
            raise Misconfigured(f"TLS with {self.certificate} and {self.key}: {type(error).__name__}") from error

    def _plain(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        return context

    def _asking(self) -> ssl.SSLContext:
        self._plain()  # a missing or foreign key is said here, in words; OpenSSL's own are numbers
        native = SSL.Context(SSL.TLS_SERVER_METHOD)
        native.set_min_proto_version(SSL.TLS1_2_VERSION)
        native.set_cipher_list(_CIPHERS)
        native.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION)
        # A resumed session would bring the certificate of an earlier handshake.
        native.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        native.use_certificate_chain_file(str(self.certificate))
        native.use_privatekey_file(str(self.key))
        native.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        context = _AskingContext(ssl.PROTOCOL_TLS_SERVER)
        context.native = native
        return context


class ClientCA:
    """The authorities whose client certificates are believed (`tls_client_auth`)."""

    def __init__(self, file: Path) -> None:
        """Read PEM certificates.

        Raises: Misconfigured.
        """
        try:
            blocks = [block + _PEM_END for block in file.read_bytes().split(_PEM_END)[:-1]]
            self._roots = [crypto.load_certificate(crypto.FILETYPE_PEM, block) for block in blocks]
        except (OSError, crypto.Error) as error:
            raise Misconfigured(f"the client CA {file} cannot be read") from error
        if not self._roots:
            raise Misconfigured(f"the client CA {file} holds no certificate")

    def vouches_for(self, der: bytes, chain: tuple[bytes, ...], *, now: datetime) -> bool:
        """Tell whether a certificate, with those sent above it, leads to one of the authorities, at this moment."""
        store = crypto.X509Store()
        for root in self._roots:
            store.add_cert(root)
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)  # what the file names is trusted, root or not
        store.set_time(now.astimezone(UTC).replace(tzinfo=None))
        try:
            leaf, *above = [crypto.load_certificate(crypto.FILETYPE_ASN1, one) for one in (der, *chain)]
            crypto.X509StoreContext(store, leaf, above).verify_certificate()
        except (crypto.Error, crypto.X509StoreContextError):
            return False
        return True


class _AskingContext(ssl.SSLContext):
    native: SSL.Context

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *_: Any, **__: Any) -> Any:
        return TLSConnection(SSL.Connection(self.native, None), incoming, outgoing)


class TLSConnection:
    """The server's side of one connection, with the methods of `ssl.SSLObject` that asyncio calls."""

    def __init__(self, connection: SSL.Connection, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._connection, self._incoming, self._outgoing = connection, incoming, outgoing
        connection.set_accept_state()

    def certificates(self) -> tuple[bytes, ...]:
        """Return the certificate whose key the client proved to hold, and those it sent above it; empty if none."""
        leaf = self._connection.get_peer_certificate()
        if leaf is None:
            return ()
        der = crypto.dump_certificate(crypto.FILETYPE_ASN1, leaf)
        sent = self._connection.get_peer_cert_chain() or []
        others = [crypto.dump_certificate(crypto.FILETYPE_ASN1, one) for one in sent[: MAX_CHAIN + 1]]
        return (der, *(one for one in others if one != der))[: MAX_CHAIN + 1]

    def do_handshake(self) -> None:
        """Go on with the handshake."""
        self._run(self._connection.do_handshake)

    def read(self, length: int = MAX_CHUNK, buffer: Any = None) -> Any:
        """Return what came, or how much of it was put into `buffer`; nothing after the other side closed."""
        wanted = min(length, MAX_CHUNK) if buffer is None else min(length or len(buffer), len(buffer), MAX_CHUNK)
        try:
            received: bytes = self._run(lambda: self._connection.recv(wanted))
        except ssl.SSLZeroReturnError:
            received = b""
        if buffer is None:
            return received
        buffer[: len(received)] = received
        return len(received)

    def write(self, sent: Any) -> int:
        """Encrypt some of what is to be sent; return how much."""
        chunk = bytes(sent[:MAX_CHUNK])
        return int(self._run(lambda: self._connection.send(chunk))) if chunk else 0

    def unwrap(self) -> None:
        """Say that nothing more comes; wait for the other side to say the same."""
        if not self._run(self._connection.shutdown):
            raise ssl.SSLWantReadError

    def getpeercert(self, binary_form: bool = False) -> Any:  # noqa: FBT002  # as asyncio calls it
        """Return the client's certificate as DER; its parsed form is nobody's concern here."""
        found = self.certificates()
        return (found[0] if found else None) if binary_form else {}

    def cipher(self) -> tuple[str, str, int] | None:
        """Return name, protocol and secret bits."""
        name, protocol = self._connection.get_cipher_name(), self._connection.get_cipher_version()
        return None if name is None else (name, str(protocol), int(self._connection.get_cipher_bits() or 0))

    def compression(self) -> None:
        """Return nothing: TLS compression tells secrets by length, and is off."""

    def _run(self, step: Callable[[], Any]) -> Any:
        received = self._incoming.read()
        if received:
            self._connection.bio_write(received)
        try:
            with _as_ssl_errors():
                return step()
        finally:
            self._flush()

    def _flush(self) -> None:
        while True:
            try:
                self._outgoing.write(self._connection.bio_read(MAX_CHUNK))
            except SSL.Error:
                return  # nothing waits


@contextmanager
def _as_ssl_errors() -> Iterator[None]:
    try:
        yield
    except SSL.WantReadError as error:
        raise ssl.SSLWantReadError from error
    except SSL.WantWriteError as error:
        raise ssl.SSLWantWriteError from error
    except SSL.ZeroReturnError as error:
        raise ssl.SSLZeroReturnError from error
    except SSL.Error as error:
        raise ssl.SSLError(ssl.SSL_ERROR_SSL, "the TLS connection failed") from error
