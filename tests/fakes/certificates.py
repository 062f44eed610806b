"""X.509 certificates for tests: a server's, clients' own, and those of an authority."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from did_agent.adapters.tls import ServerTLS
from did_agent.client.certificate import ClientCertificate

BEGINS, ENDS = datetime(2020, 1, 1, tzinfo=UTC), datetime(2049, 1, 1, tzinfo=UTC)  # around every clock of a test
LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
CLIENTS, SERVERS = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


@dataclass(frozen=True)
class Made:
    """A certificate and its key, in files too."""

    folder: Path
    name: str
    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> Path:
        return self.folder / f"{self.name}.pem"

    @property
    def key_file(self) -> Path:
        return self.folder / f"{self.name}.key"

    @property
    def x5c(self) -> dict[str, object]:
        return {"x5c": [base64.b64encode(self.der).decode()]}

    @property
    def header(self) -> str:
        """The value of `Client-Cert` (RFC 9440)."""
        return f":{base64.b64encode(self.der).decode()}:"

    def client(self, server: Made) -> ClientCertificate:
        return ClientCertificate(certificate=self.pem, key=self.key_file, ca=server.pem)

    @property
    def server(self) -> ServerTLS:
        return ServerTLS(certificate=self.pem, key=self.key_file)


def certificate(folder: Path, name: str, *, by: Made | None = None, **changes: Any) -> Made:
    """Make a certificate, signed by itself or by another, and write it and its key down as PEM.

    Changes: key, subject, names (of the subject alternative name), usage (extended), begins, ends, is_ca.
    """
    key = changes.get("key") or ed25519.Ed25519PrivateKey.generate()
    common = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    subject = changes.get("subject", common)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(changes.get("begins", BEGINS))
        .not_valid_after(changes.get("ends", ENDS))
    )
    if changes.get("is_ca"):
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if changes.get("names"):
        builder = builder.add_extension(x509.SubjectAlternativeName(changes["names"]), critical=False)
    if changes.get("usage"):
        builder = builder.add_extension(x509.ExtendedKeyUsage([changes["usage"]]), critical=False)
    signer = key if by is None else by.key
    hashed = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    made = Made(folder, name, builder.sign(signer, hashed), key)
    made.pem.write_bytes(made.certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    made.key_file.write_bytes(private)
    return made


def server_certificate(folder: Path) -> Made:
    """Make the certificate of a server on loopback; it is its own authority."""
    return certificate(folder, "server", key=ec.generate_private_key(ec.SECP256R1()), names=[LOOPBACK])
