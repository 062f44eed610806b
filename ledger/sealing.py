"""Personal fields sealed under keys of their own, so that a person's data ends with the key (AUD-05; ADR 24).

There is a data key for each person, organisation and month; the database has it wrapped under a key that follows from
the ledger's.  The same key gives a field its salt: once it is gone nobody can try names against a commitment.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from did_agent.audit.merkle import leaf_hash
from did_agent.audit.personal import SALT_BYTES, commitment, is_sealed, replaced, value_of
from did_agent.encoding import base64url
from did_agent.encoding.jcs import canonicalize, canonicalize_strings
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import BadKey, BadLog, Malformed
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.secretbox import KEY_BYTES, open_box, seal_box
from ledger.model import Entry

MARK: Final = "person:"
_MARK_BYTES: Final = 16
_ID_BYTES: Final = 12
_REMEMBERED: Final = 8_192  # marks


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKey:
    """What the fields of one person in one organisation and month are sealed with."""

    id: str
    raw: bytes  # 32 bytes


class Sealer:
    """Wraps data keys, and marks people so that their rows are found without their names."""

    __slots__ = ("_marking", "_wrapping", "mark")

    def __init__(self, key: SigningKey) -> None:
        self._wrapping, self._marking = _derived(key, b"wrapping"), _derived(key, b"marking")
        self.mark = lru_cache(_REMEMBERED)(self._mark)

    def _mark(self, person: str) -> str:
        """Return what stands for a person in the indexes."""
        return MARK + base64url.encode(hmac.digest(self._marking, person.encode(), "sha256")[:_MARK_BYTES])

    @staticmethod
    def new_key() -> DataKey:
        """Return a fresh data key."""
        return DataKey(id=secrets.token_urlsafe(_ID_BYTES), raw=secrets.token_bytes(KEY_BYTES))

    def wrap(self, key: DataKey) -> bytes:
        """Return a data key as the database keeps it."""
        return seal_box(self._wrapping, key.raw)

    def unwrap(self, identifier: str, wrapped: bytes) -> DataKey:
        """Return a data key that was kept.

        Raises: BadKey when it was wrapped by another ledger, or changed.
        """
        return DataKey(id=identifier, raw=open_box(self._wrapping, wrapped))

    def seal(self, entry: Entry, keys: Mapping[str, DataKey]) -> Entry:
        """Return an entry with its personal fields sealed under the keys of those whom they name."""
        owned: dict[tuple[str, ...], dict[str, str]] = {}
        for field, people in entry.personal.items():
            owned.setdefault(people, {})[field] = value_of(entry.members, field)
        boxes: list[str] = []
        hidden: dict[str, str] = {}
        for people, values in owned.items():
            used = [keys[person] for person in people]
            secret = _joined(used)
            hidden |= {field: commitment(field, _salt(secret, entry.id, field), said) for field, said in values.items()}
            box = base64url.encode(seal_box(secret, canonicalize_strings(values)))
            boxes.append(".".join((*(one.id for one in used), box)))
        text = canonicalize_strings(replaced(entry.members, hidden))
        return entry._replace(
            leaf=leaf_hash(text),
            text=text.decode(),
            sealed=" ".join(boxes),
            principal=None if entry.principal in keys else entry.principal,  # found as one who acted, by the mark
            target=self.mark(entry.target) if entry.target in keys and entry.target else entry.target,
            actors=tuple([self.mark(name) if name in keys else name for name in entry.actors]),
        )


def keys_in(sealed: str | None) -> set[str]:
    """Return the ids of the data keys that a row was sealed with."""
    return {name for names, _ in _boxes(sealed) for name in names}


def open_row(
    event: Mapping[str, Any], sealed: str | None, keys: Mapping[str, DataKey]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return an event as far as its keys are there, and the salts of the fields that were opened.

    What does not fit its commitment stays sealed: a database that was changed shows nothing false.
    """
    values: dict[str, str] = {}
    salts: dict[str, str] = {}
    for names, box in _boxes(sealed):
        if all(name in keys for name in names):
            for field, said, salt in _opened(event, base64url.decode(box), [keys[name] for name in names]):
                values[field], salts[field] = said, salt
    return (replaced(event, values) if values else dict(event)), salts


def is_same(entry: Entry, text: str, sealed: str | None, keys: Mapping[str, DataKey]) -> bool:
    """Tell whether the log has an entry already, sealed or erased."""
    stored, salts = open_row(parse_object(text), sealed, keys)
    erased = {}
    for field in entry.personal:
        try:
            said = value_of(stored, field)
        except BadLog:
            return False
        if is_sealed(said) and field not in salts:
            erased[field] = said
    return canonicalize(replaced(entry.members, erased)) == canonicalize(stored)


def _boxes(sealed: str | None) -> list[tuple[list[str], str]]:
    # "<key>.<key>.<box> <key>.<box>": no leaf covers it, and what does not open is shown sealed.
    parts = [one.split(".") for one in (sealed or "").split()]
    return [(names, box) for *names, box in parts]


def _opened(event: Mapping[str, Any], box: bytes, keys: Sequence[DataKey]) -> list[tuple[str, str, str]]:
    secret, found = _joined(keys), []
    try:
        for field, said in parse_object(open_box(secret, box)).items():
            salt = _salt(secret, event["id"], field)
            if commitment(field, salt, str(said)) != value_of(event, field):
                return []
            found.append((field, str(said), salt))
    except (BadKey, BadLog, Malformed):
        return []
    return found


def _salt(secret: bytes, identifier: str, field: str) -> str:
    return base64url.encode(hmac.digest(secret, f"salt {identifier} {field}".encode(), "sha256")[:SALT_BYTES])


def _joined(keys: Sequence[DataKey]) -> bytes:
    """Return the one key of a field that names several people: erasing any of them erases it."""
    if len(keys) == 1:
        return keys[0].raw
    return hashlib.sha256(b"".join(one.raw for one in keys)).digest()


def _derived(key: SigningKey, purpose: bytes) -> bytes:
    return hmac.digest(key.seed(), b"did-agent ledger " + purpose, hashlib.sha256)
