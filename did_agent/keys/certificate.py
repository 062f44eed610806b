"""X.509 certificates as far as clients are known by them: their key, their names, their time (RFC 8705, 2)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from did_agent.errors import BadKey

# RFC 8705, 2.1.2, without the prefix `tls_client_auth_`.
NameKind = Literal["subject_dn", "san_dns", "san_uri", "san_ip", "san_email"]
NAME_KINDS: Final[tuple[NameKind, ...]] = get_args(NameKind)
MAX_CERTIFICATE: Final = 16_384  # bytes

_SAN: Final[Mapping[NameKind, Any]] = {
    "san_dns": x509.DNSName,
    "san_uri": x509.UniformResourceIdentifier,
    "san_ip": x509.IPAddress,
    "san_email": x509.RFC822Name,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a certificate says; nobody vouches for it yet."""

    key_digest: bytes  # SHA-256 of the SubjectPublicKeyInfo
    begins: datetime
    ends: datetime
    is_for_clients: bool  # no extended key usage, or one that names client authentication
    subject: x509.Name
    names: Mapping[NameKind, tuple[str, ...]]

    def is_current(self, now: datetime) -> bool:
        """Tell whether `now` is within its time."""
        return self.begins <= now <= self.ends

    def is_named(self, kind: NameKind, value: str) -> bool:
        """Tell whether it carries a name exactly: a distinguished name part by part, the others as texts."""
        if kind == "subject_dn":
            return parse_distinguished_name(value) == self.subject
        return value in self.names[kind]


def parse_certificate(der: bytes) -> Certificate:
    """Return what a DER certificate says.

    Raises: BadKey.
    """
    if len(der) > MAX_CERTIFICATE:
        raise BadKey("the certificate is too large")
    try:
        found = x509.load_der_x509_certificate(der)
        key = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return Certificate(
            key_digest=hashlib.sha256(key).digest(),
            begins=found.not_valid_before_utc,
            ends=found.not_valid_after_utc,
            is_for_clients=_is_for_clients(found),
            subject=found.subject,
            names=_names(found),
        )
    except Exception as error:  # the library has no family of errors for what it cannot read
        raise BadKey("not a certificate that can be read") from error


def parse_distinguished_name(text: str) -> x509.Name:
    """Return a distinguished name (RFC 4514).

    Raises: BadKey.
    """
    try:
        name = x509.Name.from_rfc4514_string(text)
    except ValueError as error:
        raise BadKey("not a distinguished name") from error
    if not name.rdns:
        raise BadKey("the distinguished name is empty")
    return name


def _is_for_clients(found: x509.Certificate) -> bool:
    try:
        usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage


def _names(found: x509.Certificate) -> Mapping[NameKind, tuple[str, ...]]:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return dict.fromkeys(NAME_KINDS, ())
    return {kind: tuple(str(one) for one in names.get_values_for_type(form)) for kind, form in _SAN.items()}
