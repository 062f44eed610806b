"""Issuers beside the bridge whose access tokens count here, and what their scopes give; read from `issuers.json`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NoReturn, cast, get_args
from urllib.parse import urlsplit

from did_agent.credential import closed
from did_agent.credential.capability import Capability, Tools, parse_bare_capability
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import InvalidParameter, Malformed, Misconfigured
from did_agent.tokens.actor import MAX_ACTORS
from did_agent.tokens.foreign_token import MAX_LIFETIME, TYPES, Reading

Subject = Literal["user", "agent", "service", "sub_profile"]  # the last: the claim of that name says which

FILE: Final = "issuers.json"
MAX_ISSUERS: Final = 32
MAX_SCOPES: Final = 256  # entries of one issuer's map
MAX_CACHE: Final = 30  # seconds that an introspection may be believed
ALGORITHMS: Final = ("RS256", "ES256", "EdDSA", "Ed25519")
SESSION_PREFIX: Final = "vps_"  # of our own opaque credentials

_SCOPE: Final = re.compile(r"[!#-\[\]-~]{1,256}")  # RFC 6749, 3.3
_ANY: Final = "urn:any"  # stands for whatever resource the scopes are held at
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_REQUIRED: Final = frozenset({"issuer", "subject", "scopes"})
_SIGNED: Final = frozenset({"jwks_uri", "jwks", "types", "algorithms", "max_lifetime"})
_OPTIONAL: Final = frozenset(
    {"introspection", "scope_claim", "max_actors", "several_audiences", "require_bound", "dids"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeGrant:
    """What an issuer's scopes give, when all of them are held."""

    scopes: frozenset[str]
    tools: Tools

    @property
    def text(self) -> str:
        """The scopes as a challenge names them."""
        return " ".join(sorted(self.scopes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """Where an issuer says what its opaque tokens mean (RFC 7662), and who asks."""

    endpoint: str
    client_id: str | None = None  # None: the DID of the guard
    secret_file: str | None = None  # None: the guard proves its own key (private_key_jwt)
    cache_seconds: int = 0  # how long an answer is believed
    prefix: str = ""  # what its tokens begin with, where several issuers have opaque ones


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignIssuer:
    """One issuer, known by its exact `iss`."""

    reading: Reading
    subject: Subject
    grants: tuple[ScopeGrant, ...]
    jwks_uri: str | None = None  # None: found through its metadata
    jwks: Mapping[str, object] | None = field(default=None, repr=False)  # its keys, where they are not fetched at all
    require_bound: bool = False  # whether its tokens must be bound to a key
    introspection: Introspection | None = None  # None: its tokens are signed

    @property
    def issuer(self) -> str:
        """The exact `iss`."""
        return self.reading.issuer

    def capabilities(self, scopes: frozenset[str], resource: str) -> tuple[Capability, ...]:
        """Return what these scopes give at `resource`; what is not in the map gives nothing."""
        return tuple(
            Capability(resources=(resource,), tools=grant.tools) for grant in self.grants if grant.scopes <= scopes
        )

    def scope_for(
        self, tool: str, arguments: Mapping[str, object], *, held: frozenset[str] = frozenset()
    ) -> str | None:
        """Return all scopes that together would allow a call, or None when none would beside those `held`.

        Of several ways the one that gives least.
        """
        fitting = [
            grant
            for grant in self.grants
            if not grant.scopes <= held and Capability(resources=(_ANY,), tools=grant.tools).covers(tool, arguments)
        ]
        least = min(fitting, key=lambda grant: (len(grant.tools), len(grant.scopes), grant.text), default=None)
        return None if least is None else least.text


def parse_issuers(raw: str | bytes, *, where: str = FILE) -> tuple[ForeignIssuer, ...]:
    """Return the issuers that a document names.

    Raises: Misconfigured, naming the place.
    """
    try:
        document = closed.members(
            parse_object(raw), "the document", required=frozenset({"issuers"}), error=InvalidParameter
        )
        listed = closed.array(document["issuers"], "issuers", least=0, most=MAX_ISSUERS, error=InvalidParameter)
        issuers = tuple(_issuer(item, f"issuers[{index}]") for index, item in enumerate(listed))
        _require_distinct(issuers)
    except Malformed as error:
        raise Misconfigured(f"{where}: {error.detail}") from error
    return issuers


def _issuer(value: object, at: str) -> ForeignIssuer:
    given = closed.members(value, at, required=_REQUIRED, optional=_OPTIONAL | _SIGNED, error=InvalidParameter)
    introspection = None
    if "introspection" in given:
        if _SIGNED & given.keys():
            _refuse(at, f"{', '.join(sorted(_SIGNED & given.keys()))} mean nothing where tokens are introspected")
        introspection = _introspection(given["introspection"], f"{at}.introspection")
    subject = given["subject"]
    if subject not in get_args(Subject):
        _refuse(f"{at}.subject", f"is one of {', '.join(get_args(Subject))}")
    if "jwks" in given and "jwks_uri" in given:
        _refuse(at, "has jwks or jwks_uri, not both")
    return ForeignIssuer(
        reading=_reading(given, cast("Subject", subject), at),
        subject=cast("Subject", subject),
        grants=_grants(given["scopes"], f"{at}.scopes"),
        jwks_uri=_url(given["jwks_uri"], f"{at}.jwks_uri", query=True) if "jwks_uri" in given else None,
        jwks=_jwks(given["jwks"], f"{at}.jwks") if "jwks" in given else None,
        require_bound=_flag(given, "require_bound", at),
        introspection=introspection,
    )


def _reading(given: Mapping[str, object], subject: Subject, at: str) -> Reading:
    types = _choice(given.get("types", ["at+jwt"]), sorted(TYPES), f"{at}.types", fold=True)
    algorithms = _choice(given.get("algorithms", list(ALGORITHMS)), ALGORITHMS, f"{at}.algorithms")
    return Reading(
        issuer=_url(given["issuer"], f"{at}.issuer"),
        types=types,
        algorithms=algorithms,
        max_lifetime=_number(given, "max_lifetime", at, default=3_600, least=1, most=MAX_LIFETIME),
        several_audiences=_flag(given, "several_audiences", at),
        scope_claim=_text(given.get("scope_claim", "scope"), f"{at}.scope_claim", 64),
        max_actors=_number(given, "max_actors", at, default=4, least=0, most=MAX_ACTORS),
        dids=_flag(given, "dids", at),
        names_client=subject == "user",
    )


def _introspection(value: object, at: str) -> Introspection:
    optional = frozenset({"client_id", "secret_file", "cache_seconds", "prefix"})
    given = closed.members(value, at, required=frozenset({"endpoint"}), optional=optional, error=InvalidParameter)
    client_id = _text(given["client_id"], f"{at}.client_id", 512) if "client_id" in given else None
    secret_file = _text(given["secret_file"], f"{at}.secret_file", 1_024) if "secret_file" in given else None
    if secret_file is not None and client_id is None:
        _refuse(at, "has a secret_file and no client_id")
    prefix = _text(given["prefix"], f"{at}.prefix", 64) if "prefix" in given else ""
    if prefix.startswith(SESSION_PREFIX):
        _refuse(f"{at}.prefix", f"begins with {SESSION_PREFIX}, as sessions of this guard do")
    return Introspection(
        endpoint=_url(given["endpoint"], f"{at}.endpoint", query=True),
        client_id=client_id,
        secret_file=secret_file,
        cache_seconds=_number(given, "cache_seconds", at, default=0, least=0, most=MAX_CACHE),
        prefix=prefix,
    )


def _grants(value: object, at: str) -> tuple[ScopeGrant, ...]:
    if not isinstance(value, dict) or not 0 < len(value) <= MAX_SCOPES:
        _refuse(at, f"is not an object of 1 to {MAX_SCOPES} scopes")
    return tuple(_grant(name, value[name], f"{at}[{name!r}]") for name in value)


def _grant(name: str, value: object, at: str) -> ScopeGrant:
    scopes = name.split(" ")
    if not all(_SCOPE.fullmatch(scope) for scope in scopes):
        _refuse(at, "is not one scope, or several with one space between them")
    tools: Any = value
    if isinstance(value, list):
        tools = {tool: {} for tool in value if isinstance(tool, str)}
        if len(tools) != len(value):
            _refuse(at, "names a tool twice, or something that is no tool")
    if not isinstance(tools, dict) or not tools:
        _refuse(at, "is neither a list of tools nor an object of tools and constraints")
    try:
        parsed = parse_bare_capability({"resource": [_ANY], "tools": tools})
    except Malformed as error:
        _refuse(at, error.detail)
    return ScopeGrant(scopes=frozenset(scopes), tools=parsed.tools)


def _require_distinct(issuers: tuple[ForeignIssuer, ...]) -> None:
    names = [one.issuer for one in issuers]
    if len(set(names)) != len(names):
        _refuse("issuers", "names an issuer twice")
    # An opaque token says nothing of who made it, and nobody but its issuer may see it: one issuer for each beginning.
    prefixes = sorted(one.introspection.prefix for one in issuers if one.introspection is not None)
    for shorter, longer in itertools.pairwise(prefixes):
        if longer.startswith(shorter):
            _refuse("issuers", f"cannot tell opaque tokens apart by the prefixes {shorter!r} and {longer!r}")


def _url(value: object, at: str, *, query: bool = False) -> str:
    text = closed.uri(value, at, error=InvalidParameter)
    try:
        parts = urlsplit(text)
        plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
        odd = "@" in parts.netloc or not parts.hostname or parts.fragment or (parts.query and not query)
    except ValueError:
        plain, odd = False, "unreadable"
    if odd or not (plain or text.startswith("https://")):
        _refuse(at, "is not an https URL without user, fragment or query")
    return text


def _jwks(value: object, at: str) -> Mapping[str, object]:
    return closed.members(value, at, required=frozenset({"keys"}), error=InvalidParameter)


def _choice(value: object, known: Any, at: str, *, fold: bool = False) -> frozenset[str]:
    listed = closed.array(value, at, least=1, most=len(known), error=InvalidParameter)
    chosen = [item.lower() if fold and isinstance(item, str) else item for item in listed]
    if not all(item in known for item in chosen):
        _refuse(at, f"lists some of {', '.join(known)}")
    return frozenset(cast("list[str]", chosen))


def _number(given: Mapping[str, object], name: str, at: str, *, default: int, least: int, most: int) -> int:
    return closed.whole(given.get(name, default), f"{at}.{name}", least=least, most=most, error=InvalidParameter)


def _flag(given: Mapping[str, object], name: str, at: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        _refuse(f"{at}.{name}", "is not true or false")
    return value


def _text(value: object, at: str, most: int) -> str:
    return closed.text(value, at, max_chars=most, error=InvalidParameter)


def _refuse(at: str, what: str) -> NoReturn:
    raise InvalidParameter(f"{at} {what}")
