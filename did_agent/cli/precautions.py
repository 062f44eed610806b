"""What `did-agent doctor` finds in settings and files: what is insecure, what ends soon, which schema is there."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from did_agent.adapters.http import is_loopback
from did_agent.adapters.keystore import is_plain
from did_agent.adapters.sealing import DEMAND, identity_file
from did_agent.cli.deployment import Deployment
from did_agent.cli.finding import Finding
from did_agent.clock import system_clock
from did_agent.encoding.timestamp import parse_timestamp
from did_agent.errors import BadKey, BadTimestamp, DidAgentError
from did_agent.keys.certificate import parse_certificate

SOON: Final = timedelta(days=14)  # before its end a certificate is spoken of
_LIBRARIES: Final = ("fastapi", "mcp", "psycopg", "redis", "opentelemetry-sdk")
_SECRETS: Final = (
    "KEYSTORE_PASSPHRASE",
    "PKCS11_PIN",
    "UPSTREAM_CLIENT_SECRET",
    "REGISTRATION_TOKEN",
)
_PEM: Final = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_YES: Final = ("1", "true", "yes", "on")


def versions() -> Iterator[Finding]:
    """Say which releases are here; libraries that are not are no fault."""
    yield Finding(what="did-agent", ok=True, says=version("did-agent"))
    found = [(name, _version(name)) for name in _LIBRARIES]
    yield Finding(what="libraries", ok=True, says=", ".join(f"{name} {has or 'absent'}" for name, has in found))


def settings(at: Deployment, environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Name every setting that takes a protection away (OPS-05)."""
    said = {name.removeprefix("DID_AGENT_"): value for name, value in environment.items()}
    urls = {name: url for name, url in at.urls.model_dump().items() if name != "vc_api_url"}
    public = {name: url for name, url in urls.items() if not is_loopback(url)}
    found = [
        *(f"{name} is {url}: others read along; use https" for name, url in public.items() if url.startswith("http:")),
        *_metrics(said, is_public=bool(public)),
        *_keys(at, said, is_public=bool(public)),
        *_doors(said),
    ]
    for one in found:
        yield Finding(what="setting", ok=False, says=one)
    for name in _SECRETS:
        if said.get(name):
            says = f"DID_AGENT_{name} is in the environment; a file named by DID_AGENT_{name}_FILE is read by fewer"
            yield Finding(what="setting", ok=True, warns=True, says=says)
    if not found:
        yield Finding(what="settings", ok=True, says="none takes a protection away")


def certificates(environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Say how long the configured certificate lasts."""
    path = environment.get("DID_AGENT_TLS_CERT")
    if path is None:
        return
    ends = _end_of(Path(path))
    if ends is None:
        yield Finding(what="certificate", ok=False, says=f"{path} cannot be read as a certificate")
        return
    left = ends - system_clock()
    says = f"{path} ends {ends:%Y-%m-%d}" if left > timedelta(0) else f"{path} ended {ends:%Y-%m-%d}: replace it"
    yield Finding(what="certificate", ok=left > timedelta(0), warns=left < SOON, says=says)


def credentials(at: Deployment) -> Iterator[Finding]:
    """Say which credentials in this machine's wallet have ended."""
    try:
        for name in at.wallet.names():
            ended = [one for one in at.wallet.credentials(name) if _has_ended(one)]
            if ended:
                says = f"{len(ended)} credentials of {name} have ended: renew them, or ask for new ones"
                yield Finding(what=f"agent {name}", ok=True, warns=True, says=says)
    except DidAgentError as error:
        yield Finding(what="wallet", ok=False, says=error.detail)


async def databases(at: Deployment) -> list[Finding]:
    """Say which revision each database is at; without the servers' libraries there are none to look at."""
    try:
        from did_agent.cli.database import each
    except ImportError:
        return []
    found: list[Finding] = []
    try:
        states = await each(at, "all")
    except DidAgentError as error:
        return [Finding(what="databases", ok=False, says=error.detail)]
    for state in states:
        fits = state["standing"] in ("current", "newer", "empty")
        says = f"{state['database']}, {state['standing']}, at {state['revision']} of {state['newest']}"
        says = says if fits else f"{says}: run `did-agent database upgrade {state['party']}`"
        found.append(Finding(what=f"database {state['party']}", ok=fits, says=says))
    return found


def _metrics(said: Mapping[str, str], *, is_public: bool) -> Iterator[str]:
    if said.get("METRICS", "auto") == "on" and is_public:
        yield "DID_AGENT_METRICS=on shows counts to everybody; use DID_AGENT_METRICS_BIND"
    bind = said.get("METRICS_BIND", "127.0.0.1:0").rpartition(":")[0].strip("[]")
    if not _is_own(bind):
        yield f"DID_AGENT_METRICS_BIND is {bind}: whoever reaches it reads the counts"


def _keys(at: Deployment, said: Mapping[str, str], *, is_public: bool) -> Iterator[str]:
    folder = at.data / "keys"
    if not is_public or not folder.is_dir():
        return
    if said.get(DEMAND.removeprefix("DID_AGENT_")) != "sealed":
        yield f"{DEMAND} is not `sealed`: a plain key file would be taken"
    identity = identity_file(folder)
    if identity.exists() and is_plain(identity):
        yield f"{identity}, which opens the sealed keys, has no passphrase"


def _doors(said: Mapping[str, str]) -> Iterator[str]:
    if said.get("VC_API", "0").lower() in _YES:
        yield "DID_AGENT_VC_API offers an interface without authentication: for interop tests alone"
    if said.get("REGISTRATION", "0").lower() in _YES and not said.get("REGISTRATION_TOKEN"):
        yield "DID_AGENT_REGISTRATION lets anybody register a client; set DID_AGENT_REGISTRATION_TOKEN"
    if said.get("DEBUG"):
        yield "DID_AGENT_DEBUG shows the inside of failures"
    if said.get("LOG_LEVEL", "") == "debug":
        yield "DID_AGENT_LOG_LEVEL=debug says more than an operator needs"
    if said.get("STRICT_DELEGATION", "off") == "off" and said.get("STRICT_AGENT_KEY", "0").lower() in _YES:
        yield "DID_AGENT_STRICT_AGENT_KEY does nothing without DID_AGENT_STRICT_DELEGATION"


def _is_own(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _end_of(path: Path) -> datetime | None:
    try:
        first = _PEM.search(path.read_text(encoding="ascii"))
        return None if first is None else parse_certificate(ssl.PEM_cert_to_DER_cert(first[0])).ends
    except (OSError, ValueError, BadKey):
        return None


def _has_ended(credential: Mapping[str, Any]) -> bool:
    try:
        return parse_timestamp(credential.get("validUntil")) <= system_clock()
    except BadTimestamp:
        return False


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
