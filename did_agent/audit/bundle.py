"""The evidence bundle of one request: all that a stranger needs to check it, in one canonical file (AUD-03).

The file is the JCS form (RFC 8785) of one object, so that there is one spelling of it: whatever is changed is found,
white space too.  Its own digest finds accidents; what proves anything are the signatures (`did_agent.audit.stranger`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast

from did_agent.audit.event import AuditEvent, parse_event
from did_agent.audit.merkle import HASH_BYTES
from did_agent.clock import format_timestamp
from did_agent.encoding import base64url
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.strict_json import parse_object
from did_agent.encoding.timestamp import parse_timestamp
from did_agent.errors import BadBundle, Malformed

FORM: Final = "did-agent-evidence-bundle/1"
MAX_BUNDLE: Final = 4_194_304  # bytes
MAX_ROWS: Final = 64  # events of one bundle
MAX_PATH: Final = 64  # nodes of one proof
MAX_LISTS: Final = 16
MAX_DOCUMENTS: Final = 16  # of did:web

_MEMBERS: Final = frozenset(
    {"form", "made", "about", "log", "rows", "evidence", "lists", "did_documents", "bridge", "digest"}
)
_LOG: Final = frozenset({"origin", "did", "checkpoint", "cosignatures"})
_ROW: Final = frozenset({"seq", "event", "salts", "proof"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledRow:
    """One row of the log, and how it leads to the checkpoint."""

    seq: int
    event: Mapping[str, Any]  # opened, as far as its salts are there
    proof: tuple[bytes, ...]
    salts: Mapping[str, str] = field(default_factory=dict)

    @property
    def read(self) -> AuditEvent:
        """The event.  Raises: BadEvent."""
        return parse_event(dict(self.event))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What a bundle holds; nothing of it is believed before it was checked."""

    about: str  # id of the event that was asked for
    made: datetime
    origin: str  # name of the log
    log: str  # DID of the key that signed the checkpoint
    checkpoint: str
    rows: tuple[BundledRow, ...]
    evidence: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)  # credentials by their digest
    lists: tuple[Mapping[str, Any], ...] = ()  # status list credentials, as they were when the bundle was made
    did_documents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    bridge: Mapping[str, Any] = field(default_factory=dict)  # its `issuer`, and its `jwks`
    cosignatures: tuple[str, ...] = ()  # lines of witnesses under the checkpoint


def write_bundle(bundle: Bundle) -> bytes:
    """Return the file.

    Raises: BadBundle when it would be too large to be read, BadEncoding.
    """
    members: dict[str, Any] = {
        "form": FORM,
        "made": format_timestamp(bundle.made),
        "about": bundle.about,
        "log": {
            "origin": bundle.origin,
            "did": bundle.log,
            "checkpoint": bundle.checkpoint,
            "cosignatures": list(bundle.cosignatures),
        },
        "rows": [_row(row) for row in bundle.rows],
        "evidence": {digest: list(documents) for digest, documents in bundle.evidence.items()},
        "lists": list(bundle.lists),
        "did_documents": dict(bundle.did_documents),
        "bridge": dict(bundle.bridge),
    }
    raw = canonicalize({**members, "digest": digest_uri(canonicalize(members))})
    if len(raw) > MAX_BUNDLE:
        raise BadBundle(f"the bundle would have {len(raw)} bytes, limit {MAX_BUNDLE}")
    return raw


def read_bundle(raw: bytes) -> Bundle:
    """Return what a file holds, if it is a bundle in its one spelling; `require_whole` compares its digest.

    Raises: BadBundle.
    """
    members = _members(raw)
    log = _object(members["log"], "log", _LOG)
    bundle = Bundle(
        about=_text(members["about"], "about"),
        made=_moment(members["made"]),
        origin=_text(log["origin"], "log.origin"),
        log=_text(log["did"], "log.did"),
        checkpoint=_text(log["checkpoint"], "log.checkpoint"),
        cosignatures=tuple(_text(one, "log.cosignatures") for one in _list(log["cosignatures"], "cosignatures", 16)),
        rows=tuple(_read_row(row) for row in _list(members["rows"], "rows", MAX_ROWS)),
        evidence={
            digest: [_object(one, "evidence") for one in _list(documents, "evidence", 16)]
            for digest, documents in _object(members["evidence"], "evidence").items()
        },
        lists=tuple(_object(one, "lists") for one in _list(members["lists"], "lists", MAX_LISTS)),
        did_documents={did: _object(one, did) for did, one in _object(members["did_documents"], "documents").items()},
        bridge=_object(members["bridge"], "bridge"),
    )
    if not any(row.event.get("id") == bundle.about for row in bundle.rows):
        raise BadBundle("the event that the bundle is about is not in it")
    return bundle


def require_whole(raw: bytes) -> None:
    """Return if a bundle has the digest it was made with.

    Raises: BadBundle: something in it that nothing signs was changed.
    """
    members = _members(raw)
    stated = members.pop("digest")
    if stated != digest_uri(canonicalize(members)):
        raise BadBundle("a part that no signature covers was changed: the digest of the bundle is another")


def _members(raw: bytes) -> dict[str, Any]:
    try:
        members = parse_object(raw, max_bytes=MAX_BUNDLE, max_string=MAX_BUNDLE)
        spelling = canonicalize(members)
    except Malformed as error:
        raise BadBundle(f"the file cannot be read: {error.detail or error.public}") from error
    if spelling != raw:
        raise BadBundle("the file is not spelled as it was written (RFC 8785): white space or escapes were changed")
    if members.keys() != _MEMBERS or members["form"] != FORM:
        raise BadBundle(f"the file is no {FORM}: members are missing or unknown")
    return members


def _row(row: BundledRow) -> dict[str, Any]:
    proof = [base64url.encode(node) for node in row.proof]
    return {"seq": row.seq, "event": dict(row.event), "salts": dict(row.salts), "proof": proof}


def _read_row(value: object) -> BundledRow:
    members = _object(value, "row", _ROW)
    seq = members["seq"]
    if not isinstance(seq, int) or isinstance(seq, bool) or seq < 1:
        raise BadBundle("a row has no number")
    salts = _object(members["salts"], f"row {seq}: salts")
    return BundledRow(
        seq=seq,
        event=_object(members["event"], f"row {seq}: event"),
        salts={name: _text(salt, f"row {seq}: salts") for name, salt in salts.items()},
        proof=tuple(_node(one, seq) for one in _list(members["proof"], f"row {seq}: proof", MAX_PATH)),
    )


def _node(value: object, seq: int) -> bytes:
    try:
        node = base64url.decode(_text(value, "proof"))
    except Malformed as error:
        raise BadBundle(f"row {seq}: a node of its proof cannot be read") from error
    if len(node) != HASH_BYTES:
        raise BadBundle(f"row {seq}: a node of its proof cannot be read")
    return node


def _object(value: object, name: str, members: Iterable[str] | None = None) -> dict[str, Any]:
    if not isinstance(value, dict) or (members is not None and value.keys() != members):
        raise BadBundle(f"{name} has another form")
    return value


def _list(value: object, name: str, most: int) -> list[object]:
    if not isinstance(value, list) or len(value) > most:
        raise BadBundle(f"{name} is no list of at most {most}")
    return cast("list[object]", value)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise BadBundle(f"{name} is no text")
    return value


def _moment(value: object) -> datetime:
    try:
        return parse_timestamp(value)
    except Malformed as error:
        raise BadBundle("made is no timestamp") from error
