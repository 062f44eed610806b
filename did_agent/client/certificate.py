"""A TLS client certificate on the client's side: tokens are bound to it, and each connection proves it (RFC 8705)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from did_agent.errors import Misconfigured


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificate:
    """A certificate and its key, as PEM files; `ca` names who vouches for servers, for deployments with their own."""

    certificate: Path
    key: Path
    ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return what connections that show this certificate are made with, as `verify` of an httpx client.

        Raises: Misconfigured.
        """
        try:
            context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
            context.load_cert_chain(self.certificate, self.key)
        except OSError as error:  # ssl.SSLError is one
            raise Misconfigured(f"the client certificate {self.certificate}: {type(error).__name__}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context
