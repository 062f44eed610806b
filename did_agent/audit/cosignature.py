"""Co-signatures of witnesses under a checkpoint (C2SP tlog-cosignature, `cosignature/v1` with Ed25519).

A ledger that showed one log to one reader and another to the next would need every witness to sign both.  A witness
signs a state only after it has seen that it extends the one it signed before, and says when.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from did_agent.audit.checkpoint import Checkpoint
from did_agent.audit.merkle import is_consistent
from did_agent.clock import numeric_date
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import BadKey, BadLog, BadSignature, BadTimestamp, InvalidParameter
from did_agent.keys import ed25519
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.public import PublicKey

MAX_WITNESSES: Final = 16  # of one log
MAX_LINE: Final = 512  # characters
MAX_NAME: Final = 128  # characters of a witness's name
SKEW: Final = timedelta(minutes=5)  # how far a witness's clock may be ahead

_TYPE: Final = b"\x04"  # signature type of a timestamped Ed25519 co-signature
_LINE: Final = re.compile(r"\u2014 (?P<name>[^\s+]+) (?P<signature>[A-Za-z0-9+/]+=*)\n?")
_KEY: Final = re.compile(r"(?P<name>[^\s+]+)\+(?P<id>[0-9a-f]{8})\+(?P<key>[A-Za-z0-9+/]+=*)")
_ID, _TIME, _SIGNATURE = 4, 8, 64  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Somebody who co-signs, by the name under which it does."""

    name: str  # no spaces and no plus sign
    key: PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """That a witness saw a state, and when."""

    name: str
    time: datetime


def verifier_key(witness: Witness) -> str:
    """Return the one line by which a witness is known elsewhere (C2SP signed-note, verifier keys)."""
    encoded = base64.b64encode(_TYPE + witness.key.raw).decode("ascii")
    return f"{witness.name}+{_key_id(witness).hex()}+{encoded}"


def parse_verifier_key(text: str) -> Witness:
    """Return the witness that a line names.

    Raises: BadKey.
    """
    match = _KEY.fullmatch(text) if len(text) <= MAX_LINE else None
    if match is None:
        raise BadKey("a witness is named as name+id+key")
    try:
        raw = base64.b64decode(match["key"], validate=True)
    except binascii.Error as error:
        raise BadKey("the key of a witness is no base64") from error
    if raw[:1] != _TYPE:
        raise BadKey("the key of a witness is not for co-signatures (type 4)")
    witness = Witness(name=require_name(match["name"]), key=ed25519.PublicKey.from_bytes(raw[1:]))
    if not hmac.compare_digest(_key_id(witness).hex(), match["id"]):
        raise BadKey("the key of a witness has another id")
    return witness


def require_name(name: str) -> str:
    """Return a name that a witness can have.

    Raises: InvalidParameter.
    """
    if not 0 < len(name) <= MAX_NAME or not name.isascii() or not name.isprintable() or " " in name or "+" in name:
        raise InvalidParameter("a witness has a short ASCII name without spaces and plus signs")
    return name


def cosign(note: str, *, name: str, key: SigningKey, now: datetime) -> str:
    """Return the line of a witness for a checkpoint that it has verified, and seen to extend the one before."""
    witness, seconds = Witness(name=require_name(name), key=key.public), numeric_date(now)
    signature = key.sign(_message(note, seconds))
    raw = _key_id(witness) + seconds.to_bytes(_TIME, "big") + signature
    return f"\u2014 {name} {base64.b64encode(raw).decode('ascii')}\n"


def verify_cosignature(line: str, note: str, witness: Witness, *, now: datetime | None = None) -> Cosigned:
    """Return when a witness signed the checkpoint in a note; with `now` it must not be later.

    Raises: BadLog.
    """
    match = _LINE.fullmatch(line) if len(line) <= MAX_LINE else None
    if match is None or match["name"] != witness.name:
        raise BadLog("not a co-signature of this witness")
    try:
        raw = base64.b64decode(match["signature"], validate=True)
    except binascii.Error as error:
        raise BadLog("the co-signature is no base64") from error
    if len(raw) != _ID + _TIME + _SIGNATURE or base64.b64encode(raw).decode("ascii") != match["signature"]:
        raise BadLog("the co-signature has another form")
    if not hmac.compare_digest(raw[:_ID], _key_id(witness)):
        raise BadLog("the co-signature is by another key")
    seconds = int.from_bytes(raw[_ID : _ID + _TIME], "big")
    try:
        witness.key.verify(_message(note, seconds), raw[_ID + _TIME :])
        time = from_numeric_date(seconds)
    except (BadSignature, BadTimestamp) as error:
        raise BadLog("the co-signature does not verify") from error
    if now is not None and time > now + SKEW:
        raise BadLog("the co-signature is from the future")
    return Cosigned(name=witness.name, time=time)


def require_quorum(note: str, lines: Iterable[str], witnesses: Sequence[Witness], quorum: int) -> tuple[Cosigned, ...]:
    """Return which of the witnesses signed a checkpoint, when at least `quorum` of them did.

    Lines of others say nothing and are passed over (C2SP signed-note); one of theirs that does not verify is refused.
    Raises: BadLog.
    """
    found: dict[str, Cosigned] = {}
    known = {witness.name: witness for witness in witnesses}
    for line in lines:
        match = _LINE.fullmatch(line)
        witness = None if match is None else known.get(match["name"])
        if witness is not None:
            found[witness.name] = verify_cosignature(line, note, witness)
    if len(found) < quorum:
        missing = ", ".join(sorted(known.keys() - found.keys()))
        raise BadLog(f"{len(found)} witnesses co-signed the checkpoint, {quorum} are needed; none by {missing}")
    return tuple(found.values())


def require_extends(seen: Checkpoint | None, shown: Checkpoint, proof: Sequence[bytes]) -> None:
    """Return if a state may be co-signed after the one that was seen last (RFC 9162, 2.1.4.2).

    Raises: BadLog for a fork, and for a log that shows less than before.
    """
    if seen is None:
        return
    if shown.origin != seen.origin:
        raise BadLog(f"this is the log {shown.origin}, not {seen.origin}, which was witnessed before")
    if shown.size < seen.size:
        raise BadLog(f"the log shows {shown.size} rows, and showed {seen.size} before")
    if seen.size and not is_consistent(seen.size, shown.size, seen.root, shown.root, proof):
        raise BadLog(f"the log of {shown.size} rows does not extend that of {seen.size}: it has forked")


def _message(note: str, seconds: int) -> bytes:
    body, separator, _ = note.partition("\n\n")
    if not separator:
        raise BadLog("not a signed note")
    return f"cosignature/v1\ntime {seconds}\n{body}\n".encode()


def _key_id(witness: Witness) -> bytes:
    return hashlib.sha256(witness.name.encode() + b"\n" + _TYPE + witness.key.raw).digest()[:_ID]
