"""VC Data Model 2.0, section 4: what makes a document a credential or a presentation; 1.1 is read too.

Structure alone is judged here.  What JSON-LD must say (terms without meaning, relative names) `encoding.jsonld` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

from did_agent.credential.context import CONTEXT_V2
from did_agent.credential.identifier import is_url
from did_agent.credential.moment import moment_of, parse_moment
from did_agent.credential.related import parse_related_resources
from did_agent.credential.validity import FUTURE_SKEW
from did_agent.errors import BadCredential, BadPresentation, BadProof, DidAgentError, Expired, Malformed, NotYetValid

CONTEXT_V1: Final = "https://www.w3.org/2018/credentials/v1"
MAX_CONTEXTS: Final = 10  # entries of `@context`
MAX_LISTED: Final = 64  # entries of one property
MAX_TYPES: Final = 32  # names in one `type`
MAX_ENVELOPE: Final = 262_144  # characters of a `data:` URL

Enveloping = Literal["EnvelopedVerifiableCredential", "EnvelopedVerifiablePresentation"]
DateName = Literal["validFrom", "validUntil", "issuanceDate", "expirationDate"]

_DATA_URL: Final = re.compile(
    r"data:([a-z]{1,64}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126})((?:;[^,;\x00-\x20\x7f]{1,128}){0,4}),([\x21-\x7e]+)"
)
_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,10}")  # shape of BCP 47
_DIRECTIONS: Final = ("ltr", "rtl")
_LANGUAGE_MEMBERS: Final = frozenset({"@value", "@language", "@direction"})
_TYPED: Final = ("credentialStatus", "termsOfUse", "evidence", "refreshService", "credentialSchema")
_DATES: Final[tuple[DateName, DateName]] = ("validFrom", "validUntil")
_DATES_V1: Final[tuple[DateName, DateName]] = ("issuanceDate", "expirationDate")


class Enveloped(NamedTuple):
    """What a `data:` URL holds: a secured document in another form, not believed."""

    media_type: str
    payload: str
    parameters: tuple[str, ...] = ()


class DateFinding(NamedTuple):
    """One end of a validity period, with the error that it makes at the moment asked for."""

    name: DateName
    value: object
    error: DidAgentError | None


def is_version_1(document: Mapping[str, object]) -> bool:
    """Tell whether a document is of VCDM 1.1, by its first context."""
    contexts = document.get("@context")
    return isinstance(contexts, list) and contexts[:1] == [CONTEXT_V1]


def require_credential(document: Mapping[str, object]) -> None:
    """Return when a document follows the model of a credential; of a proof only the shape is looked at.

    Raises: BadCredential, BadTimestamp, BadProof.
    """
    _require_head(document, "VerifiableCredential", BadCredential)
    issuer_of(document)
    _require_subjects(document.get("credentialSubject"))
    _require_dates(document)
    for name in _TYPED:
        for entry in _objects(document, name):
            _require_typed(entry, name)
    # Terms of 2.0; in 1.1 they mean what a context of the issuer says.
    if not is_version_1(document):
        _require_words(document)
        _require_words(document["issuer"])
        parse_related_resources(document)
    if "proof" in document:
        require_proof_shape(document["proof"])


def require_presentation(document: Mapping[str, object]) -> None:
    """Return when a document, and each credential in it, follows its model (VCDM 2.0, 4.13).

    An enveloped presentation is one by its form; what it holds is for whoever opens it.
    Raises: BadPresentation, BadCredential, BadTimestamp, BadProof.
    """
    if _is_enveloped(document, "EnvelopedVerifiablePresentation"):
        parse_enveloped(document, "EnvelopedVerifiablePresentation")
        return
    _require_head(document, "VerifiablePresentation", BadPresentation)
    holder_of(document)
    for entry in _objects(document, "verifiableCredential", BadPresentation):
        if _is_enveloped(entry, "EnvelopedVerifiableCredential"):
            parse_enveloped(entry, "EnvelopedVerifiableCredential")
        else:
            require_credential(entry)
    if "proof" in document:
        require_proof_shape(document["proof"])


def parse_enveloped(document: Mapping[str, object], kind: Enveloping) -> Enveloped:
    """Return what an enveloped credential or presentation holds: media type and payload (VCDM 2.0, 4.13.1, 4.13.2).

    Raises: BadCredential or BadPresentation, as `kind` says.
    """
    error = BadCredential if kind == "EnvelopedVerifiableCredential" else BadPresentation
    contexts, identifier = document.get("@context"), document.get("id")
    first = contexts[0] if isinstance(contexts, list) and contexts else contexts
    if first != CONTEXT_V2:
        raise error("an enveloped document has the context of VCDM 2.0")
    if document.get("type") not in (kind, [kind]):
        raise error(f"the type of an enveloped document is {kind} alone")
    if not isinstance(identifier, str) or len(identifier) > MAX_ENVELOPE:
        raise error(f"the id of an enveloped document is not a URL of at most {MAX_ENVELOPE} characters")
    found = _DATA_URL.fullmatch(identifier)
    if found is None:
        raise error("the id of an enveloped document is not a data: URL with media type and payload")
    return Enveloped(found[1], found[3], tuple(found[2].split(";")[1:]))


def require_proof_shape(value: object) -> None:
    """Return when `proof` holds one or more objects with a type (VCDM 2.0, 4.12).

    Raises: BadProof.
    """
    listed = value if isinstance(value, list) else [value]
    if not 0 < len(listed) <= MAX_LISTED:
        raise BadProof(f"proof does not hold 1 to {MAX_LISTED} proofs")
    if not all(isinstance(proof, dict) and _names(proof.get("type")) for proof in listed):
        raise BadProof("a proof is not an object with a type")


def issuer_of(document: Mapping[str, object]) -> str:
    """Return the issuer's identifier.

    Raises: BadCredential.
    """
    value = document.get("issuer")
    issuer = value.get("id") if isinstance(value, dict) else value
    if not is_url(issuer):
        raise BadCredential("issuer is neither a URL nor an object with one as its id")
    return issuer


def holder_of(document: Mapping[str, object]) -> str | None:
    """Return the holder's identifier, or None when the presentation names none.

    Raises: BadPresentation.
    """
    if "holder" not in document:
        return None
    value = document["holder"]
    holder = value.get("id") if isinstance(value, dict) else value
    if not is_url(holder):
        raise BadPresentation("holder is neither a URL nor an object with one as its id")
    return holder


def validity(document: Mapping[str, object], now: datetime) -> Iterator[DateFinding]:
    """Yield a finding for each end of the validity period that is there (VCDM 2.0, 4.9; 1.1, 4.6).

    Raises: BadTimestamp.
    """
    start, end = _dates_of(document)
    if start in document:
        begun = parse_moment(document[start], zone_required=not is_version_1(document)) <= moment_of(now + FUTURE_SKEW)
        yield DateFinding(start, document[start], None if begun else NotYetValid(f"{start} has not come"))
    if end in document:
        over = parse_moment(document[end], zone_required=not is_version_1(document)) <= moment_of(now)
        yield DateFinding(end, document[end], Expired(f"{end} has passed") if over else None)


# ---- members of both


def _require_head(document: Mapping[str, object], wanted: str, error: type[Malformed]) -> None:
    contexts = document.get("@context")
    if not isinstance(contexts, list) or not contexts or contexts[0] not in (CONTEXT_V2, CONTEXT_V1):
        raise error("@context is not an array that begins with a context of the data model")
    if len(contexts) > MAX_CONTEXTS or not all(isinstance(entry, dict) or is_url(entry) for entry in contexts):
        raise error(f"@context holds more than {MAX_CONTEXTS} entries, or one that is neither a URL nor an object")
    if "id" in document and not is_url(document["id"]):
        raise error("id is not one URL")
    if wanted not in _names(document.get("type")):
        raise error(f"type does not hold names, {wanted} among them")


def _names(value: object) -> Sequence[str]:
    """Return the names in a `type`; none where one of them is not a name."""
    listed = value if isinstance(value, list) else [value]
    named = [name for name in listed if isinstance(name, str) and name]
    return named if len(named) == len(listed) <= MAX_TYPES else []


def _objects(
    document: Mapping[str, object], name: str, error: type[Malformed] = BadCredential
) -> Sequence[Mapping[str, object]]:
    if name not in document:
        return []
    value = document[name]
    listed = value if isinstance(value, list) else [value]
    found = [entry for entry in listed if isinstance(entry, dict)]
    # A presentation may say that it shows nothing; an empty array of anything else says nothing.
    least = 0 if error is BadPresentation else 1
    if not least <= len(listed) <= MAX_LISTED or len(found) != len(listed):
        raise error(f"{name} does not hold objects, at most {MAX_LISTED}")
    return found


def _is_enveloped(document: Mapping[str, object], kind: Enveloping) -> bool:
    return kind in _names(document.get("type"))


# ---- members of a credential


def _require_subjects(value: object) -> None:
    subjects = value if isinstance(value, list) else [value]
    if not 0 < len(subjects) <= MAX_LISTED:
        raise BadCredential(f"credentialSubject does not hold 1 to {MAX_LISTED} subjects")
    for subject in subjects:
        if not isinstance(subject, dict) or not subject:
            raise BadCredential("a credentialSubject is not an object that says something")
        if "id" in subject and not is_url(subject["id"]):
            raise BadCredential("the id of a credentialSubject is not one URL")


def _dates_of(document: Mapping[str, object]) -> tuple[DateName, DateName]:
    return _DATES_V1 if is_version_1(document) else _DATES


def _require_dates(document: Mapping[str, object]) -> None:
    # A date under the other version's name would be read by some and passed over by others.
    for name in _DATES if is_version_1(document) else _DATES_V1:
        if name in document:
            raise BadCredential(f"{name} belongs to the other version of the data model")
    start, end = _dates_of(document)
    if is_version_1(document) and start not in document:
        raise BadCredential(f"{start} is missing")
    zone_required = not is_version_1(document)
    moments = [parse_moment(document[name], zone_required=zone_required) for name in (start, end) if name in document]
    if len(moments) > 1 and moments[1] < moments[0]:
        raise BadCredential(f"{end} is before {start}")


def _require_typed(entry: Mapping[str, object], name: str) -> None:
    if not _names(entry.get("type")):
        raise BadCredential(f"{name} has no type")
    if "id" in entry and not is_url(entry["id"]):
        raise BadCredential(f"the id of {name} is not one URL")
    if name == "credentialSchema" and "id" not in entry:
        raise BadCredential("credentialSchema has no id")


def _require_words(holder: object) -> None:
    """Require `name` and `description` of a credential or its issuer to be text, or text in languages (11.1)."""
    if not isinstance(holder, dict):
        return
    for name in ("name", "description"):
        if name in holder:
            value = holder[name]
            words = value if isinstance(value, list) else [value]
            if not 0 < len(words) <= MAX_LISTED or not all(_is_text(word) for word in words):
                raise BadCredential(f"{name} is neither text nor text in languages")


def _is_text(word: object) -> bool:
    if not isinstance(word, dict):
        return isinstance(word, str)
    language, direction = word.get("@language", "en"), word.get("@direction", "ltr")
    return (
        word.keys() <= _LANGUAGE_MEMBERS
        and isinstance(word.get("@value"), str)
        and isinstance(language, str)
        and _LANGUAGE.fullmatch(language) is not None
        and direction in _DIRECTIONS
    )
