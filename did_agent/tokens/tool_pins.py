"""Tool pins: which tools of which servers an operator approved, word for word, signed by that operator (LLM-06).

A tool is what its definition says to a model.  Whoever can change that can make the model do something else, so a
definition counts only as it was when somebody read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, cast

from did_agent.clock import numeric_date
from did_agent.did.document import split_method_id
from did_agent.did.key import did_key, verification_method
from did_agent.did.resolve import method_key
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.strict_json import parse_object
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import BadJOSE, InvalidParameter, Malformed, UntrustedIssuer, WrongIssuer, WrongType
from did_agent.keys.public import SigningKey
from did_agent.proof.jose import verify_signature
from did_agent.proof.jwt import VerifiedJWT, sign_jwt, unverified_jws
from did_agent.tokens.profiles import TOOL_PINS

TYPE: Final = "tool-pins+jwt"
# What a model or its host reads of a tool; the rest (icons, hints for caches) makes nobody do anything.
PINNED: Final = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")

Definition = Mapping[str, object]


def definition_of(tool: Mapping[str, object]) -> Definition:
    """Return the pinned members of a tool as a server lists it; one that is null is one that is not there.

    Raises: InvalidParameter when it has no name.
    """
    if not isinstance(tool.get("name"), str):
        raise InvalidParameter("a tool without a name")
    return {member: tool[member] for member in PINNED if tool.get(member) is not None}


def digest_of(tool: Mapping[str, object]) -> str:
    """Return the digest of a tool's pinned members: SHA-256 over their canonical form (RFC 8785).

    Raises: InvalidParameter, BadEncoding when it has no canonical form.
    """
    return digest_uri(canonicalize(definition_of(tool)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One tool as it was approved."""

    definition: Definition
    reads: bool  # whether it changes nothing: the approver's word, never the server's
    by: str  # DID of the operator
    at: datetime
    digest: str = field(init=False)  # worked out from the definition, so that the two cannot differ

    def __post_init__(self) -> None:
        """Work the digest out once."""
        object.__setattr__(self, "digest", digest_of(self.definition))

    @property
    def name(self) -> str:
        """The tool's name."""
        return str(self.definition["name"])


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolPins:
    """Every approval of one data folder; `servers` has the pins of each resource by tool."""

    version: int
    by: str  # DID of the operator who signed last
    at: datetime
    servers: Mapping[str, Mapping[str, Pin]]


def sign_pins(pins: ToolPins, *, key: SigningKey) -> str:
    """Return the pins as `key` signs them."""
    signer = did_key(key.public)
    claims = {
        "iss": signer,
        "iat": numeric_date(pins.at),
        "version": pins.version,
        "servers": [
            {"resource": resource, "tools": [_pin_to_json(pin) for pin in tools.values()]}
            for resource, tools in pins.servers.items()
        ],
    }
    return sign_jwt(claims, typ=TYPE, key=key, kid=verification_method(signer))


def verify_pins(text: str, *, operators: frozenset[str]) -> ToolPins:
    """Return the pins that one of the `operators` signed; their age is no matter.

    Raises: BadJOSE, TooLarge, BadDID, WrongAlgorithm, WrongType, WrongIssuer, WrongKey, UntrustedIssuer, BadSignature.
    """
    jws, claims = unverified_jws(text, max_bytes=TOOL_PINS.max_bytes)
    if jws.type not in TOOL_PINS.types:
        raise WrongType(f"typ is not that of {TOOL_PINS.name}")
    missing = (TOOL_PINS.required | {"iat"}) - claims.keys()
    if missing:
        raise BadJOSE(f"{TOOL_PINS.name} lack {', '.join(sorted(missing))}")
    signer, _ = split_method_id(jws.header.get("kid"))
    if signer not in operators:
        raise UntrustedIssuer(f"{signer[:200]} is no operator here")
    if claims["iss"] != signer:
        raise WrongIssuer("iss is not who signed")
    verify_signature(jws, method_key(jws.header.get("kid"), relationship="assertionMethod")[1])
    version = claims["version"]
    if type(version) is not int or version < 1:
        raise BadJOSE("version is not a positive whole number")
    servers = dict(_server(one) for one in _list(claims["servers"]))
    return ToolPins(version=version, by=signer, at=_moment(claims["iat"]), servers=servers)


def _pin_to_json(pin: Pin) -> dict[str, object]:
    # As text: the canonical form of the claims writes 1e20 as an integer, which strict readers refuse.
    text = json.dumps(pin.definition, ensure_ascii=False, sort_keys=True, allow_nan=False)
    return {"definition": text, "reads": pin.reads, "by": pin.by, "at": numeric_date(pin.at)}


def _server(value: object) -> tuple[str, Mapping[str, Pin]]:
    members = VerifiedJWT(header={}, claims=_object(value))
    pins = [_pin(_object(one)) for one in _list(members.claims.get("tools"))]
    found = {pin.name: pin for pin in pins}
    if len(found) != len(pins):
        raise BadJOSE("a tool is pinned twice")
    return members.text("resource"), found


def _pin(members: Mapping[str, object]) -> Pin:
    reads = members.get("reads")
    if not isinstance(reads, bool):
        raise BadJOSE("reads is neither true nor false")
    texts = VerifiedJWT(header={}, claims=members)
    try:
        definition = definition_of(parse_object(texts.text("definition")))
        return Pin(definition=definition, reads=reads, by=texts.text("by"), at=_moment(members.get("at")))
    except BadJOSE:
        raise
    except Malformed as error:
        raise BadJOSE(f"the definition of a pinned tool cannot be read: {error.code}") from error


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise BadJOSE("a pin is not an object")
    return cast("Mapping[str, object]", value)


def _list(value: object) -> Sequence[object]:
    if not isinstance(value, list):
        raise BadJOSE("pins are not a list")
    return value


def _moment(value: object) -> datetime:
    if type(value) is not int or value < 0:
        raise BadJOSE("a time is not a NumericDate in whole seconds")
    return from_numeric_date(value)
