"""Webhooks as Standard Webhooks 1.0 has them: what is told, in which words, and how it is signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from did_agent.audit.event import AuditEvent
from did_agent.clock import format_timestamp, numeric_date
from did_agent.errors import InvalidParameter
from did_agent.keys.ed25519 import SigningKey
from issuer.model import HOME
from issuer.model.webhooks import Announcement, Delivery, Endpoint

# What receivers hear, by what was done; refusals are nobody's news.
KINDS: Final[Mapping[str, str]] = {
    "agent.create": "agent.created",
    "agent.import": "agent.imported",
    "agent.describe": "agent.described",
    "agent.transfer": "agent.transferred",
    "agent.enrol": "agent.enrolled",
    "agent.rotate": "agent.rotated",
    "agent.suspend": "agent.suspended",
    "agent.resume": "agent.resumed",
    "agent.retire": "agent.retired",
    "credential.issue": "credential.issued",
    "credential.renew": "credential.renewed",
    "credential.suspend": "credential.suspended",
    "credential.resume": "credential.resumed",
    "credential.revoke": "credential.revoked",
    "request.create": "request.created",
    "request.approve": "request.approved",
    "request.deny": "request.denied",
    "request.withdraw": "request.withdrawn",
    "role.assign": "role.assigned",
    "role.unassign": "role.unassigned",
    "switch.on": "switch.on",
    "switch.off": "switch.off",
    "webhook.test": "webhook.test",
}
_HEARD: Final = frozenset(KINDS.values()) - {"webhook.test"}
TOPICS: Final = frozenset({"*", *_HEARD, *(kind.split(".")[0] + ".*" for kind in _HEARD)})
OVERLAP: Final = timedelta(days=1)  # how long the key before signs beside a new one
PATIENCE: Final = timedelta(days=1)  # how long a delivery is tried
FIRST_WAIT: Final = 5.0  # s before the second attempt
LAST_WAIT: Final = 3_600.0  # s between later ones
_MAX_TOPICS: Final = 32
_MAX_URL: Final = 1_024
_SECRET: Final = b"did-agent webhook secret v1"
_SEED: Final = b"did-agent webhook key v1"


def announcement_of(event: AuditEvent) -> Announcement | None:
    """Return what receivers hear of an event; None for what is nobody's news.

    It names what happened to whom and when.  Reasons and names of people stay here (WEB-11).
    """
    kind = KINDS.get(event.action)
    if kind is None or event.decision != "allow":
        return None
    organisation = event.details.get("organisation", HOME)
    data: dict[str, object] = {"id": event.target, "organisation": organisation}
    if "agent" in event.details:
        data["agent"] = event.details["agent"]
    body = {"type": kind, "timestamp": format_timestamp(event.time), "data": data}
    return Announcement(
        organisation=organisation,
        id="msg_" + event.id.removeprefix("urn:uuid:").replace("-", ""),
        kind=kind,
        body=json.dumps(body, separators=(",", ":")),
        at=event.time,
    )


def topics_for(kind: str) -> Sequence[str]:
    """Return the topics under which a kind of event is heard."""
    return ("*", kind.split(".", maxsplit=1)[0] + ".*", kind)


def require_topics(topics: Sequence[str]) -> tuple[str, ...]:
    """Return topics that exist.  Raises: InvalidParameter."""
    if not 0 < len(topics) <= _MAX_TOPICS or not TOPICS.issuperset(topics):
        raise InvalidParameter(f"topics: 1 to {_MAX_TOPICS} of {', '.join(sorted(TOPICS))}")
    return tuple(sorted(set(topics)))


def require_url_text(url: str) -> str:
    """Return the URL of an endpoint if it reads one way.  Raises: InvalidParameter."""
    if len(url) > _MAX_URL or not re.fullmatch(r"https?://[!-~]+", url):
        raise InvalidParameter(f"url: an https URL of at most {_MAX_URL} characters")
    return url


def shared_secret(root: bytes, endpoint: Endpoint, generation: int) -> str:
    """Return the secret of an endpoint that wants HMAC: derived, so that it is stored nowhere (KEY-01)."""
    return "whsec_" + base64.b64encode(_derived(root, _SECRET, endpoint, generation)).decode()


def signing_key(root: bytes, endpoint: Endpoint, generation: int) -> SigningKey:
    """Return the Ed25519 key that signs for one endpoint and nothing else (KEY-04)."""
    return SigningKey.from_seed(_derived(root, _SEED, endpoint, generation))


def public_key(root: bytes, endpoint: Endpoint, generation: int) -> str:
    """Return the public key of an endpoint in the form of the standard."""
    return "whpk_" + base64.b64encode(signing_key(root, endpoint, generation).public.raw).decode()


def signed_headers(root: bytes, endpoint: Endpoint, delivery: Delivery, *, now: datetime) -> dict[str, str]:
    """Return the headers of one attempt; while keys change it carries a signature by each."""
    at = numeric_date(now)
    content = f"{delivery.id}.{at}.{delivery.body}".encode()
    generations = [endpoint.generation]
    if endpoint.previous_until is not None and now < endpoint.previous_until:
        generations.append(endpoint.generation - 1)
    signatures = " ".join(_signature(root, endpoint, generation, content) for generation in generations)
    return {
        "Content-Type": "application/json",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(at),
        "webhook-signature": signatures,
    }


def wait_after(attempts: int, *, spread: float) -> timedelta:
    """Return how long to wait after so many attempts: twice as long each time, half of it by `spread` (0 to 1)."""
    half = min(FIRST_WAIT * 2.0 ** min(attempts - 1, 16), LAST_WAIT) / 2
    return timedelta(seconds=half + half * spread)


def _derived(root: bytes, use: bytes, endpoint: Endpoint, generation: int) -> bytes:
    named = json.dumps([endpoint.organisation, endpoint.id, generation]).encode()
    return hmac.digest(root, use + b"\0" + named, hashlib.sha256)


def _signature(root: bytes, endpoint: Endpoint, generation: int, content: bytes) -> str:
    if endpoint.scheme == "v1a":
        return "v1a," + base64.b64encode(signing_key(root, endpoint, generation).sign(content)).decode()
    secret = _derived(root, _SECRET, endpoint, generation)
    return "v1," + base64.b64encode(hmac.digest(secret, content, hashlib.sha256)).decode()
