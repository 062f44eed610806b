"""Disclosures: claims hidden behind salted digests, and put back exactly where they were signed (RFC 9901, 4 and 7.1).

Places are JSON Pointers (RFC 6901) into the claims as they are with all disclosures at hand: withheld elements do not
count, so an index may be another one for the verifier than for the holder.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from did_agent.encoding import base64url
from did_agent.encoding.digest import sha256
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.strict_json import parse_json
from did_agent.errors import BadEncoding, BadJOSE, BadSignature, InvalidParameter, Malformed, TooDeep, TooLarge
from did_agent.proof.json_pointer import has_value

ALGORITHM: Final = "sha-256"  # the only `_sd_alg`; a token cannot choose a weaker one (VCX-15)
MAX_DISCLOSURES: Final = 256  # of one token
MAX_DEPTH: Final = 16  # levels of the claims with everything put back
SALT_BYTES: Final = 16  # 128 bit; less could be guessed together with the value (RFC 9901, 9.3)

# What decides whether a token counts is always in sight: a holder who may withhold it could live without it.
RESERVED: Final = frozenset(
    {"iss", "aud", "exp", "nbf", "cnf", "vct", "vct#integrity", "aka_vcts", "status", "act"}  # with all inside them
)

_DIGESTS: Final = "_sd"
_ELEMENT: Final = "..."
_HASH_NAME: Final = "_sd_alg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """A hidden claim, or a hidden array element, and the text whose digest is signed."""

    text: str = field(repr=False)
    name: str | None  # None for an element
    value: object = field(repr=False)

    @property
    def digest(self) -> str:
        """The digest over the text as it was received (RFC 9901, 4.2.3)."""
        return _digest(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealed:
    """Claims with every disclosure in its place."""

    claims: Mapping[str, object]
    places: Mapping[str, Disclosure]  # by JSON Pointer, an outer one before those inside it


def parse_disclosure(text: str) -> Disclosure:
    """Return a disclosure: base64url of `[salt, name, value]`, or of `[salt, value]` for an element.

    Raises: BadJOSE.
    """
    try:
        parts = parse_json(base64url.decode(text), max_depth=MAX_DEPTH + 2)
    except BadEncoding as error:
        raise BadJOSE("a disclosure is not canonical base64url") from error
    except Malformed as error:
        raise BadJOSE(f"a disclosure is not strict JSON: {error.code}") from error
    if not isinstance(parts, list) or len(parts) not in (2, 3) or not isinstance(parts[0], str):
        raise BadJOSE("a disclosure is an array of salt, name and value, or of salt and value")
    if len(parts) == 2:
        return Disclosure(text=text, name=None, value=parts[1])
    if not isinstance(parts[1], str):
        raise BadJOSE("the name in a disclosure is not a string")
    return Disclosure(text=text, name=parts[1], value=parts[2])


def hide(
    claims: Mapping[str, object], disclosable: Collection[str], *, decoys: int = 0
) -> tuple[dict[str, object], tuple[Disclosure, ...]]:
    """Return the payload to sign and its disclosures; `decoys` digests of nothing go beside each group of real ones.

    Where a place and one inside it are both disclosable, the inner one stays hidden when the outer is shown.
    Raises: InvalidParameter when a place does not exist or the claims use reserved names, BadJOSE for claims that are
    never hidden, TooDeep, TooLarge.
    """
    hiding = _Hiding(wanted=frozenset(disclosable), decoys=decoys)
    hidden = hiding.members(claims, "", 1)
    missing = hiding.wanted - hiding.reached
    if missing:
        raise InvalidParameter(f"no claim at {', '.join(sorted(missing))}")
    payload = {**hidden, _HASH_NAME: ALGORITHM}
    made = tuple(hiding.made)
    # What we issue we would accept, and it says what it was asked to say.
    if reveal(payload, made).claims != claims:
        raise InvalidParameter("the claims use names that belong to disclosures")
    return payload, made


def reveal(
    payload: Mapping[str, object], disclosures: Sequence[Disclosure], *, never_hidden: frozenset[str] = RESERVED
) -> Revealed:
    """Return the claims of a signed payload with every disclosure in its place (RFC 9901, 7.1, steps 2 to 5).

    Digests without a disclosure vanish: decoys, and what the holder keeps to itself.
    Raises: BadJOSE, TooDeep, TooLarge, BadSignature when a disclosure is not covered by the payload.
    """
    if payload.get(_HASH_NAME, ALGORITHM) != ALGORITHM:
        raise BadJOSE(f"_sd_alg is not {ALGORITHM}")
    if len(disclosures) > MAX_DISCLOSURES:
        raise TooLarge(f"more than {MAX_DISCLOSURES} disclosures")
    found = {disclosure.digest: disclosure for disclosure in disclosures}
    if len(found) != len(disclosures):
        raise BadJOSE("a disclosure is there twice")
    reading = _Reading(found=found, never_hidden=frozenset(_escape(name) for name in never_hidden))
    claims = reading.members({name: value for name, value in payload.items() if name != _HASH_NAME}, "", 1)
    if len(reading.places) != len(disclosures):
        raise BadSignature("a disclosure is not covered by the signature")
    return Revealed(claims=claims, places=reading.places)


def select(revealed: Revealed, wanted: Collection[str]) -> frozenset[str]:
    """Return the texts that show the places `wanted`: theirs and of what they are in, of nothing below them.

    Raises: InvalidParameter when there is no such claim, BadProof for a text that is no pointer.
    """
    for pointer in wanted:
        if not has_value(revealed.claims, pointer):
            raise InvalidParameter(f"no claim at {pointer[:80]!r}")
    return frozenset(
        disclosure.text
        for place, disclosure in revealed.places.items()
        if any(pointer == place or pointer.startswith(place + "/") for pointer in wanted)
    )


@dataclass(slots=True, kw_only=True)
class _Reading:
    """One walk over a signed payload."""

    found: Mapping[str, Disclosure]
    never_hidden: frozenset[str]
    seen: set[str] = field(default_factory=set)
    places: dict[str, Disclosure] = field(default_factory=dict)

    def value(self, value: object, pointer: str, depth: int) -> object:
        if isinstance(value, dict):
            return self.members(value, pointer, depth + 1)
        return self.elements(value, pointer, depth + 1) if isinstance(value, list) else value

    def members(self, source: Mapping[str, object], pointer: str, depth: int) -> dict[str, object]:
        _require_depth(depth)
        if _ELEMENT in source or _HASH_NAME in source:
            raise BadJOSE(f"{_ELEMENT} or {_HASH_NAME} where it has no meaning")
        open_names = [name for name in source if name != _DIGESTS]
        claims = {name: self.value(source[name], f"{pointer}/{_escape(name)}", depth) for name in open_names}
        digests = source.get(_DIGESTS, [])
        if not isinstance(digests, list):
            raise BadJOSE("_sd is not an array")
        for digest in digests:
            disclosure = self.take(digest, pointer)
            if disclosure is None:
                continue
            name = disclosure.name
            if name is None:
                raise BadJOSE("the disclosure of an element stands for a claim")
            if name in (_DIGESTS, _ELEMENT, _HASH_NAME):
                raise BadJOSE(f"a disclosure is named {name}")
            if name in claims:
                raise BadJOSE("a disclosure has the name of a claim beside it")
            place = f"{pointer}/{_escape(name)}"
            self.require_open(place)
            self.places[place] = disclosure
            claims[name] = self.value(disclosure.value, place, depth)
        return claims

    def elements(self, source: Sequence[object], pointer: str, depth: int) -> list[object]:
        _require_depth(depth)
        items: list[object] = []
        for item in source:
            place = f"{pointer}/{len(items)}"
            if not isinstance(item, dict) or _ELEMENT not in item:
                items.append(self.value(item, place, depth))
                continue
            if len(item) != 1:
                raise BadJOSE(f"{_ELEMENT} has members beside it")
            disclosure = self.take(item[_ELEMENT], pointer)
            if disclosure is None:
                continue
            if disclosure.name is not None:
                raise BadJOSE("the disclosure of a claim stands for an element")
            self.places[place] = disclosure
            items.append(self.value(disclosure.value, place, depth))
        return items

    def take(self, digest: object, pointer: str) -> Disclosure | None:
        if not isinstance(digest, str):
            raise BadJOSE("a digest is not a string")
        if digest in self.seen:
            raise BadJOSE("a digest is there twice")
        self.require_open(pointer)
        self.seen.add(digest)
        return self.found.get(digest)

    def require_open(self, pointer: str) -> None:
        # A part of `status` or `cnf` that may be withheld changes what the rest of it means.
        if pointer[1:].partition("/")[0] in self.never_hidden:
            raise BadJOSE(f"{pointer[:40]} is selectively disclosable, which it must not be")


@dataclass(slots=True, kw_only=True)
class _Hiding:
    """One walk over claims that are to be signed."""

    wanted: frozenset[str]
    decoys: int
    made: list[Disclosure] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)

    def value(self, value: object, pointer: str, depth: int) -> object:
        if isinstance(value, dict):
            return self.members(value, pointer, depth + 1)
        return self.elements(value, pointer, depth + 1) if isinstance(value, list) else value

    def members(self, source: Mapping[str, object], pointer: str, depth: int) -> dict[str, object]:
        _require_depth(depth)
        claims: dict[str, object] = {}
        digests: list[str] = []
        for name, value in source.items():
            place = f"{pointer}/{_escape(name)}"
            inner = self.value(value, place, depth)
            if place in self.wanted:
                digests.append(self.disclose(place, [_salt(), name, inner]))
            else:
                claims[name] = inner
        if digests:
            # In order of the digests, so that the place in the list says nothing about the claim.
            claims[_DIGESTS] = sorted(digests + self.decoy_digests())
        return claims

    def elements(self, source: Sequence[object], pointer: str, depth: int) -> list[object]:
        _require_depth(depth)
        items: list[object] = []
        hidden = False
        for index, value in enumerate(source):
            place = f"{pointer}/{index}"
            inner = self.value(value, place, depth)
            if place in self.wanted:
                inner, hidden = {_ELEMENT: self.disclose(place, [_salt(), inner])}, True
            items.append(inner)
        return [*items, *({_ELEMENT: digest} for digest in self.decoy_digests())] if hidden else items

    def disclose(self, place: str, parts: list[object]) -> str:
        disclosure = parse_disclosure(base64url.encode(canonicalize(parts)))
        self.reached.add(place)
        self.made.append(disclosure)
        return disclosure.digest

    def decoy_digests(self) -> list[str]:
        return [_digest(_salt()) for _ in range(self.decoys)]


def _salt() -> str:
    return base64url.encode(secrets.token_bytes(SALT_BYTES))


def _digest(text: str) -> str:
    return base64url.encode(sha256(text.encode("ascii")))


def _require_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise TooDeep(f"claims deeper than {MAX_DEPTH} levels")


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
