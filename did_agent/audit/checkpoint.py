"""Signed checkpoints of a log (C2SP tlog-checkpoint, on C2SP signed-note with Ed25519)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final

from did_agent.errors import BadLog, BadSignature
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.public import PublicKey

MAX_NOTE: Final = 4_096  # bytes
_ED25519: Final = b"\x01"  # signature type of signed-note
_NOTE: Final = re.compile(
    r"(?P<body>(?P<origin>[^\s+]+)\n(?P<size>0|[1-9][0-9]{0,17})\n(?P<root>[A-Za-z0-9+/]{43}=)\n)"
    r"\n\u2014 (?P<name>[^\s+]+) (?P<signature>[A-Za-z0-9+/]+=*)\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The state of a log: how many entries it has and the root over them."""

    origin: str  # names the log; no spaces and no plus sign
    size: int
    root: bytes


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> str:
    """Return the signed note of a checkpoint."""
    root = base64.b64encode(checkpoint.root).decode("ascii")
    body = f"{checkpoint.origin}\n{checkpoint.size}\n{root}\n"
    signature = _key_hash(checkpoint.origin, key.public) + key.sign(body.encode())
    return f"{body}\n\u2014 {checkpoint.origin} {base64.b64encode(signature).decode('ascii')}\n"


def verify_checkpoint(note: str, *, origin: str, key: PublicKey) -> Checkpoint:
    """Return the checkpoint that `key` signed for the log `origin`.

    Raises: BadLog.
    """
    match = _NOTE.fullmatch(note) if len(note) <= MAX_NOTE else None
    if match is None or match["origin"] != origin or match["name"] != origin:
        raise BadLog("not a checkpoint of this log")
    try:
        signature = base64.b64decode(match["signature"], validate=True)
        root = base64.b64decode(match["root"], validate=True)
        # The last character has bits that mean nothing: a note has one spelling, or a changed one would pass.
        if base64.b64encode(signature).decode("ascii") != match["signature"]:
            raise BadLog("the signature of the checkpoint is not in canonical base64")
        if not hmac.compare_digest(signature[:4], _key_hash(origin, key)):
            raise BadLog("the checkpoint is signed by another key")
        key.verify(match["body"].encode(), signature[4:])
    except (BadSignature, binascii.Error) as error:
        raise BadLog("the signature of the checkpoint does not verify") from error
    return Checkpoint(origin=origin, size=int(match["size"]), root=root)


def _key_hash(name: str, key: PublicKey) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + key.raw).digest()[:4]
