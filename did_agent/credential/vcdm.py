"""VC Data Model 2.0, section 4: what makes a document a credential or a presentation; 1.1 is read too.

Structure alone is judged here.  What JSON-LD must say (terms without meaning, relative names) `encoding.jsonld` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from did_agent.errors import (
    BadCredential,
    BadPresentation,
    BadProof,
    BadTimestamp,
    DidAgentError,
    Expired,
    Malformed,
    NotYetValid,
)

CONTEXT_V2: Final = "https://www.w3.org/ns/credentials/v2"
CONTEXT_V1: Final = "https://www.w3.org/2018/credentials/v1"
MAX_LISTED: Final = 64  # entries of one property

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|^`\\]+")
# XML Schema dateTimeStamp (VCDM 2.0, A.2); a real calendar has the last word.
_STAMP: Final = re.compile(
    r"(-?(?:[1-9][0-9]{3,}|0[0-9]{3}))-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T(?:([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\.[0-9]+)?|(24:00:00)(?:\.0+)?)"
    r"(Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)?"
)
_LANGUAGE_MEMBERS: Final = frozenset({"@value", "@language", "@direction"})
_TYPED: Final = ("credentialStatus", "termsOfUse", "evidence", "refreshService")
_OLD_DATES: Final = ("issuanceDate", "expirationDate")
_NEW_DATES: Final = ("validFrom", "validUntil")


def is_version_1(document: Mapping[str, object]) -> bool:
    """Say whether a document is of VCDM 1.1, by its first context."""
    contexts = document.get("@context")
    return isinstance(contexts, list) and contexts[:1] == [CONTEXT_V1]


def require_credential(document: Mapping[str, object]) -> None:
    """Return when a document, without its proof, follows the model of a credential.

    Raises: BadCredential, BadTimestamp.
    """
    _require_context(document, BadCredential)
    _require_id(document, BadCredential)
    _require_type(document, "VerifiableCredential", BadCredential)
    issuer_of(document)
    _require_words(document)
    if isinstance(document.get("issuer"), Mapping):
        _require_words(_mapping(document["issuer"]))
    _require_subject(document.get("credentialSubject"))
    _require_dates(document)
    for name in _TYPED:
        for entry in _objects(document, name):
            _require_typed(entry, name)
    for entry in _objects(document, "credentialSchema"):
        _require_typed(entry, "credentialSchema")
        if not is_url(entry.get("id")):
            raise BadCredential("credentialSchema has no id")
    _require_related(document)


def require_presentation(document: Mapping[str, object]) -> None:
    """Return when a document, without its proof, follows the model of a presentation (4.13).

    Raises: BadPresentation.
    """
    _require_context(document, BadPresentation)
    _require_id(document, BadPresentation)
    _require_type(document, "VerifiablePresentation", BadPresentation)
    if "holder" in document:
        holder_of(document)
    value = document.get("verifiableCredential", [])
    for entry in value if isinstance(value, list) else [value]:
        if not isinstance(entry, dict):
            raise BadPresentation("verifiableCredential holds something that is not an object")
        types = entry.get("type")
        named = types if isinstance(types, list) else [types]
        if "EnvelopedVerifiableCredential" in named:
            require_enveloped(entry)
        elif "VerifiableCredential" not in named:
            raise BadPresentation("verifiableCredential holds something that is not a credential")


def require_enveloped(entry: Mapping[str, object]) -> None:
    """Return when an object stands for an enveloped credential (4.13.1).

    Raises: BadPresentation.
    """
    contexts, identifier = entry.get("@context"), entry.get("id")
    named = contexts if isinstance(contexts, list) else [contexts]
    if CONTEXT_V2 not in named or entry.get("type") not in (
        "EnvelopedVerifiableCredential",
        ["EnvelopedVerifiableCredential"],
    ):
        raise BadPresentation("an enveloped credential has the context v2 and one type")
    if not isinstance(identifier, str) or not identifier.startswith("data:") or "," not in identifier:
        raise BadPresentation("an enveloped credential has a data: URL as its id")


def require_proof_shape(value: object) -> None:
    """Return when `proof` holds objects with a type (4.12).

    Raises: BadProof.
    """
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(proof, dict) and isinstance(proof.get("type"), str) for proof in listed):
        raise BadProof("proof holds something that is not an object with a type")


def issuer_of(document: Mapping[str, object]) -> str:
    """Return the issuer's identifier.

    Raises: BadCredential.
    """
    value = document.get("issuer")
    issuer = value.get("id") if isinstance(value, Mapping) else value
    if not isinstance(issuer, str) or not is_url(issuer):
        raise BadCredential("issuer is neither a URL nor an object with one as its id")
    return issuer


def holder_of(document: Mapping[str, object]) -> str | None:
    """Return the holder's identifier, or None when the presentation names none.

    Raises: BadPresentation.
    """
    if "holder" not in document:
        return None
    value = document["holder"]
    holder = value.get("id") if isinstance(value, Mapping) else value
    if not isinstance(holder, str) or not is_url(holder):
        raise BadPresentation("holder is neither a URL nor an object with one as its id")
    return holder


def validity(document: Mapping[str, object], now: datetime) -> Iterator[tuple[str, object, DidAgentError | None]]:
    """Yield each date of the validity period, with the error it makes now (4.9; for 1.1: 4.6).

    Raises: BadTimestamp.
    """
    names = _OLD_DATES if is_version_1(document) else _NEW_DATES
    for name in names:
        if name not in document:
            continue
        moment = parse_stamp(document[name], zone_required=not is_version_1(document))
        error: DidAgentError | None = None
        if name == names[0] and moment > now:
            error = NotYetValid(f"{name} is {document[name]}")
        elif name == names[1] and moment <= now:
            error = Expired(f"{name} was {document[name]}")
        yield name, document[name], error


def parse_stamp(value: object, *, zone_required: bool = True) -> datetime:
    """Return the moment of a dateTimeStamp; years outside what a calendar here can hold are the nearest end of it.

    Raises: BadTimestamp.
    """
    match = _STAMP.fullmatch(value) if isinstance(value, str) and len(value) <= 64 else None
    if match is None or (zone_required and match[8] is None):
        raise BadTimestamp(f"{str(value)[:64]!r} is not a dateTimeStamp")
    year = int(match[1])
    hour, minute, second = (0, 0, 0) if match[7] else (int(match[4]), int(match[5]), int(match[6]))
    try:
        moment = datetime(
            min(max(year, 1), 9999), int(match[2]), int(match[3]), hour, minute, second, tzinfo=_zone(match[8])
        )
        return (moment + timedelta(days=1) if match[7] else moment).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadTimestamp(f"{str(value)[:64]!r} is not in the calendar") from error


def is_url(value: object) -> bool:
    """Say whether a value is an absolute URL."""
    return isinstance(value, str) and _URL.fullmatch(value) is not None


def _zone(text: str | None) -> timezone:
    if text is None or text == "Z":
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[4:6])))


def _require_context(document: Mapping[str, object], error: type[Malformed]) -> None:
    contexts = document.get("@context")
    if not isinstance(contexts, list) or not contexts or contexts[0] not in (CONTEXT_V2, CONTEXT_V1):
        raise error("@context is not an array that begins with a credentials context")
    if not all(isinstance(entry, dict) or is_url(entry) for entry in contexts) or len(contexts) > MAX_LISTED:
        raise error("@context holds something that is neither a URL nor an object")


def _require_id(document: Mapping[str, object], error: type[Malformed]) -> None:
    if "id" in document and not is_url(document["id"]):
        raise error("id is not one URL")


def _require_type(document: Mapping[str, object], wanted: str, error: type[Malformed]) -> None:
    value = document.get("type")
    types = value if isinstance(value, list) else [value]
    if not types or not all(isinstance(name, str) and name for name in types) or wanted not in types:
        raise error(f"type does not name {wanted}")


def _require_words(document: Mapping[str, object]) -> None:
    for name in ("name", "description"):
        value = document.get(name, "")
        for word in value if isinstance(value, list) else [value]:
            if isinstance(word, str):
                continue
            if not isinstance(word, dict) or not word.keys() <= _LANGUAGE_MEMBERS or "@value" not in word:
                raise BadCredential(f"{name} is neither a string nor a language value")
            if not all(isinstance(part, str) for part in word.values()):
                raise BadCredential(f"{name} has a member that is not a string")


def _require_subject(value: object) -> None:
    subjects = value if isinstance(value, list) else [value]
    if not subjects:
        raise BadCredential("credentialSubject is empty")
    for subject in subjects:
        if not isinstance(subject, dict) or not subject:
            raise BadCredential("credentialSubject holds something that is not an object with members")
        if "id" in subject and not is_url(subject["id"]):
            raise BadCredential("the id of a credentialSubject is not one URL")


def _require_dates(document: Mapping[str, object]) -> None:
    old = is_version_1(document)
    wrong = _NEW_DATES if old else _OLD_DATES
    if any(name in document for name in wrong):
        raise BadCredential(f"{' and '.join(wrong)} belong to the other version of the data model")
    if old and "issuanceDate" not in document:
        raise BadCredential("issuanceDate is missing")
    start, end = _OLD_DATES if old else _NEW_DATES
    moments = {name: parse_stamp(document[name], zone_required=not old) for name in (start, end) if name in document}
    if len(moments) == 2 and moments[end] < moments[start]:
        raise BadCredential(f"{end} is before {start}")


def _require_typed(entry: Mapping[str, object], where: str) -> None:
    types = entry.get("type")
    listed = types if isinstance(types, list) else [types]
    if not listed or not all(isinstance(name, str) and name for name in listed):
        raise BadCredential(f"{where} has no type")
    if "id" in entry and not is_url(entry["id"]):
        raise BadCredential(f"the id of {where} is not one URL")


def _require_related(document: Mapping[str, object]) -> None:
    seen: set[object] = set()
    for entry in _objects(document, "relatedResource"):
        if not is_url(entry.get("id")) or entry["id"] in seen:
            raise BadCredential("relatedResource has no id, or one twice")
        seen.add(entry["id"])
        digests = [entry.get(name) for name in ("digestSRI", "digestMultibase") if name in entry]
        if not digests or not all(isinstance(digest, str) and digest for digest in digests):
            raise BadCredential("relatedResource has no digest")


def _objects(document: Mapping[str, object], name: str) -> Sequence[Mapping[str, object]]:
    if name not in document:
        return []
    value = document[name]
    listed = value if isinstance(value, list) else [value]
    found = [entry for entry in listed if isinstance(entry, dict)]
    if not listed or len(found) != len(listed) or len(listed) > MAX_LISTED:
        raise BadCredential(f"{name} holds something that is not an object")
    return found


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
