"""The bootstrap of trust: which DIDs are issuers, operators and parties of a deployment (`trust.json`, public)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from did_agent.adapters.keystore import write_private
from did_agent.did.key import parse_did_key
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import Malformed, Misconfigured

FILE: Final = "trust.json"
_MEMBERS: Final = frozenset({"issuers", "operators", "parties", "ledger"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """DIDs by role; nobody else is trusted for it."""

    issuers: tuple[str, ...] = ()  # may issue root capability credentials
    operators: tuple[str, ...] = ()  # may administer all parties
    parties: tuple[str, ...] = ()  # may write to the ledger
    ledger: str | None = None  # signs the checkpoints of the audit log


def load_trust(path: Path) -> Trust:
    """Return the trust a file states; an absent file trusts nobody.

    Raises: Misconfigured.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return Trust()
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error.strerror}") from error
    try:
        members = parse_object(raw)
        if not members.keys() <= _MEMBERS:
            raise Misconfigured(f"{path} holds unknown members")
        ledger = members.get("ledger")
        trust = Trust(
            issuers=_dids(members.get("issuers", []), path),
            operators=_dids(members.get("operators", []), path),
            parties=_dids(members.get("parties", []), path),
            ledger=None if ledger is None else _dids([ledger], path)[0],
        )
    except Malformed as error:
        raise Misconfigured(f"{path} cannot be read: {error.detail}") from error
    return trust


def save_trust(path: Path, trust: Trust) -> None:
    """Write the trust of a deployment, at once and durably.

    Raises: Misconfigured.
    """
    try:
        write_private(path, json.dumps(asdict(trust), indent=2).encode())
    except OSError as error:
        raise Misconfigured(f"cannot write {path}: {error.strerror}") from error


def _dids(value: object, path: Path) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise Misconfigured(f"{path} must list DIDs")
    for did in value:
        parse_did_key(did)
    return tuple(value)
