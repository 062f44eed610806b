"""Trust lists: whom an organisation believes and for what, signed by its issuer, versioned, and short-lived (VCX-05).

A list is believed because one of the DIDs signed it that its reader was set up with, or one that came after it by its
own word (`did_agent.tokens.key_handover`).  Nothing else in a list can make another DID such an anchor: whoever is
named here may grant what its line says, and signs no lists.  A DID that a list says has ended is none, for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeGuard, cast

from did_agent.clock import numeric_date
from did_agent.credential.trust import KINDS, Kind, Remit, origin_of
from did_agent.did.document import require_did, split_method_id
from did_agent.did.key import did_key, parse_did_key, verification_method
from did_agent.did.web import PREFIX as DID_WEB
from did_agent.did.web import did_web_url
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import (
    BadDID,
    BadJOSE,
    Expired,
    InvalidParameter,
    Malformed,
    NotYetValid,
    Replayed,
    UntrustedIssuer,
    WrongIssuer,
    WrongType,
)
from did_agent.keys.public import SigningKey
from did_agent.proof.jose import verify_signature
from did_agent.proof.jwt import SKEW, VerifiedJWT, sign_jwt, unverified_jws
from did_agent.tokens.access_token import HOME, ORGANISATION
from did_agent.tokens.key_handover import MAX_HANDOVERS, successors
from did_agent.tokens.profiles import TRUST_LIST

TYPE: Final = "trust-list+jwt"
MEDIA_TYPE: Final = "application/trust-list+jwt"
PATH: Final = "/.well-known/did-agent-trust-list"
MAX_ENTRIES: Final = 256
MAX_NAMES: Final = 64  # resources, tools or keys of one entry
MAX_OWN: Final = 4_096  # organisations of one deployment
MAX_TEXT: Final = 2_048  # characters of one identifier
LIFE: Final = timedelta(seconds=TRUST_LIST.max_lifetime or 300)
TTL: Final = timedelta(seconds=10)  # after which readers ask again

_CLAIMS: Final = TRUST_LIST.required | {"iat"}
_HANDED_OVER: Final = frozenset({"ended", "handovers"})  # only where the issuer had another key before
_ENTRY: Final = frozenset({"id", "issuer", "types", "resources"})
_OPTIONAL: Final = frozenset({"url", "tools", "valid_from", "valid_until", "keys"})
_SKEW: Final = timedelta(seconds=SKEW)
_NEIGHBOUR: Final = "organisation-"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustEntry:
    """One line: an issuer and what it may grant here."""

    id: str
    issuer: str  # did:key or did:web
    url: str | None = None  # of its issuer's API; its status lists lie there and nowhere else
    kinds: frozenset[Kind] = KINDS - {"identity"}
    resources: frozenset[str]  # exact identifiers of ours
    tools: frozenset[str] | None = None  # None: every tool there
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    keys: frozenset[str] = frozenset()  # of a did:web: the did:keys that alone count; none: all its document lists

    def remit(self) -> Remit:
        """Return what this line allows while it holds."""
        hosts = {origin_of(self.url)} if self.url is not None else set()
        if self.issuer.startswith(DID_WEB):
            hosts.add(origin_of(did_web_url(self.issuer, allow_loopback=True)))
        return Remit(resources=self.resources, tools=self.tools, kinds=self.kinds, origins=frozenset(hosts))

    def holds(self, now: datetime) -> bool:
        """Tell whether its time is now."""
        return (self.valid_from is None or self.valid_from <= now) and (
            self.valid_until is None or now < self.valid_until
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustList:
    """All lines of an organisation at one moment, and the issuers of its own deployment."""

    issuer: str  # DID of who signs it
    version: int  # grows with every change
    issued: datetime
    expires: datetime
    ttl: timedelta = TTL
    own: tuple[str, ...] = ()  # DIDs of the organisations of this deployment, which may grant anything
    entries: tuple[TrustEntry, ...] = ()
    ended: tuple[str, ...] = ()  # DIDs of this deployment's organisations that count no more, anchors included
    handovers: tuple[str, ...] = ()  # statements of the keys before, from an anchor to the key that signs


def require_entry(entry: TrustEntry) -> TrustEntry:
    """Return an entry that is fit to be listed.

    Raises: InvalidParameter.
    """
    try:
        _require_issuer(entry.issuer, entry.keys)
    except BadDID as error:
        raise InvalidParameter(f"issuer: {error.detail}") from error
    if not entry.kinds or not entry.kinds <= KINDS:
        raise InvalidParameter(f"types: some of {', '.join(sorted(KINDS))}")
    if not 0 < len(entry.resources) <= MAX_NAMES or not all(map(_is_exact, entry.resources)):
        raise InvalidParameter(f"resources: 1 to {MAX_NAMES} exact identifiers, without wildcards")
    if entry.tools is not None and (not 0 < len(entry.tools) <= MAX_NAMES or not all(map(_is_exact, entry.tools))):
        raise InvalidParameter(f"tools: 1 to {MAX_NAMES} exact names, or all by leaving them out")
    if entry.url is not None and not _is_url(entry.url):
        raise InvalidParameter("url: the exact https URL of the issuer")
    if entry.valid_from is not None and entry.valid_until is not None and entry.valid_from >= entry.valid_until:
        raise InvalidParameter("valid_until comes after valid_from")
    return entry


def neighbour_id(organisation: str) -> str:
    """Return the id of the line for another organisation of one's own deployment; no line of an operator has one."""
    return f"{_NEIGHBOUR}{organisation}"


def neighbour_of(entry: TrustEntry) -> str | None:
    """Return which organisation of the own deployment a line is for; None for lines about others."""
    name = entry.id.removeprefix(_NEIGHBOUR)
    return name if entry.id != name and ORGANISATION.fullmatch(name) and name != HOME else None


def sign_trust_list(found: TrustList, *, key: SigningKey) -> str:
    """Return the list as its issuer's key signs it."""
    if did_key(key.public) != found.issuer:
        raise WrongIssuer("a list is signed by its issuer")
    claims: dict[str, object] = {
        "iss": found.issuer,
        "iat": numeric_date(found.issued),
        "exp": numeric_date(found.expires),
        "ttl": int(found.ttl.total_seconds()),
        "version": found.version,
        "own": list(found.own),
        "entries": [entry_to_json(entry) for entry in found.entries],
    }
    told = {"ended": list(found.ended), "handovers": list(found.handovers)}
    claims |= {name: said for name, said in told.items() if said}
    return sign_jwt(claims, typ=TYPE, key=key, kid=verification_method(found.issuer))


def verify_trust_list(
    text: str,
    *,
    anchors: frozenset[str],
    after: tuple[int, datetime] | None,
    now: datetime,
    known: TrustList | None = None,
) -> TrustList:
    """Return the list that an anchor signed, or who came after it, and that is not before what is known.

    `after` is the version and time of the list `known`, whose ended keys sign nothing any more and never come back.
    Raises: BadJOSE, TooLarge, BadDID, WrongAlgorithm, WrongType, WrongIssuer, WrongKey, UntrustedIssuer, BadSignature,
    Expired, NotYetValid, Replayed.
    """
    jws, claims = unverified_jws(text, max_bytes=TRUST_LIST.max_bytes)
    if jws.type not in TRUST_LIST.types:
        raise WrongType(f"typ is not that of {TRUST_LIST.name}")
    if not _CLAIMS <= claims.keys() <= _CLAIMS | _HANDED_OVER:
        raise BadJOSE(f"a {TRUST_LIST.name} has {', '.join(sorted(_CLAIMS))} and nothing else")
    signer, _ = split_method_id(jws.header.get("kid"))
    over = frozenset() if known is None else frozenset(known.ended)
    handovers = _names(claims.get("handovers", []), most=MAX_HANDOVERS)
    before = () if known is None else known.handovers
    if signer in over or signer not in successors(handovers, anchors=anchors, ended=over, known=before):
        raise UntrustedIssuer(f"{signer[:200]} signs no trust lists for us")
    if claims["iss"] != signer or jws.header.get("kid") != verification_method(signer):
        raise WrongIssuer("iss is not who signed")
    verify_signature(jws, parse_did_key(signer))
    found = _read(claims)
    _require_current(found, after=after, now=now)
    if signer in found.ended or not over <= frozenset(found.ended):
        raise Replayed("the trust list would bring back a key that has ended")
    return found


def entry_to_json(entry: TrustEntry) -> dict[str, object]:
    """Return the members of an entry as lists carry it."""
    members: dict[str, object] = {
        "id": entry.id,
        "issuer": entry.issuer,
        "types": sorted(entry.kinds),
        "resources": sorted(entry.resources),
    }
    optional: dict[str, object | None] = {
        "url": entry.url,
        "tools": None if entry.tools is None else sorted(entry.tools),
        "valid_from": None if entry.valid_from is None else numeric_date(entry.valid_from),
        "valid_until": None if entry.valid_until is None else numeric_date(entry.valid_until),
        "keys": sorted(entry.keys) or None,
    }
    return members | {name: value for name, value in optional.items() if value is not None}


def entry_from_json(value: object) -> TrustEntry:
    """Return the entry that an element of a list describes (closed schema).

    Raises: BadJOSE.
    """
    if not isinstance(value, dict) or not _ENTRY <= value.keys() <= _ENTRY | _OPTIONAL:
        raise BadJOSE("an entry of the trust list does not have its members")
    texts = VerifiedJWT(header={}, claims=value)
    kinds = frozenset(kind for kind in KINDS if kind in _names(value["types"]))
    if kinds != frozenset(_names(value["types"])):
        raise BadJOSE("an entry of the trust list has an unknown type")
    try:
        return require_entry(
            TrustEntry(
                id=texts.text("id"),
                issuer=texts.text("issuer"),
                url=texts.text("url") if "url" in value else None,
                kinds=kinds,
                resources=frozenset(_names(value["resources"])),
                tools=frozenset(_names(value["tools"])) if "tools" in value else None,
                valid_from=_moment(value["valid_from"]) if "valid_from" in value else None,
                valid_until=_moment(value["valid_until"]) if "valid_until" in value else None,
                keys=frozenset(_names(value.get("keys", []))),
            )
        )
    except InvalidParameter as error:
        raise BadJOSE(f"an entry of the trust list: {error.detail}") from error


def _read(claims: Mapping[str, object]) -> TrustList:
    version, ttl, own, entries = (claims[name] for name in ("version", "ttl", "own", "entries"))
    ended = _names(claims.get("ended", []), most=MAX_OWN)
    if not _is_whole(version) or not _is_whole(ttl):
        raise BadJOSE("version and ttl are whole numbers")
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        raise BadJOSE(f"a trust list has at most {MAX_ENTRIES} entries")
    issuers = tuple(_names(own, most=MAX_OWN))
    try:
        for did in (*issuers, *ended):
            parse_did_key(did)
    except Malformed as error:
        raise BadJOSE("own and ended list did:keys") from error
    if not set(ended).isdisjoint(issuers):
        raise BadJOSE("a key of a trust list counts, or has ended")
    return TrustList(
        issuer=cast("str", claims["iss"]),
        version=version,
        issued=_moment(claims["iat"]),
        expires=_moment(claims["exp"]),
        ttl=timedelta(seconds=ttl),
        own=issuers,
        entries=tuple(map(entry_from_json, entries)),
        ended=tuple(ended),
        handovers=tuple(_names(claims.get("handovers", []), most=MAX_HANDOVERS)),
    )


def _require_current(found: TrustList, *, after: tuple[int, datetime] | None, now: datetime) -> None:
    if found.issued > now + _SKEW:
        raise NotYetValid("the trust list is from the future")
    if now >= found.expires or not timedelta(0) < found.expires - found.issued <= LIFE:
        raise Expired("the trust list has ended, or lives too long")
    # A list from before would bring back whom somebody has taken out of it since.
    if after is not None and (found.version, found.issued) < after:
        raise Replayed(f"trust list {found.version} is older than {after[0]}, which is known")


def _require_issuer(issuer: str, keys: frozenset[str]) -> None:
    if issuer.startswith(DID_WEB):
        did_web_url(require_did(issuer), allow_loopback=True)
    else:
        parse_did_key(issuer)
    if keys and (not issuer.startswith(DID_WEB) or len(keys) > MAX_NAMES):
        raise BadDID("only the keys of a did:web can be pinned: a did:key is its key")
    for key in keys:
        parse_did_key(key)


def _names(value: object, *, most: int = MAX_NAMES) -> Sequence[str]:
    if not isinstance(value, list) or len(value) > most or not all(isinstance(one, str) for one in value):
        raise BadJOSE(f"a list of at most {most} texts is expected in a trust list")
    if len(set(value)) != len(value):
        raise BadJOSE("a trust list says something twice")
    return cast("Sequence[str]", value)


def _is_exact(name: str) -> bool:
    return 0 < len(name) <= MAX_TEXT and name.isascii() and name.isprintable() and " " not in name and "*" not in name


def _is_url(url: str) -> bool:
    scheme, separator, rest = url.partition("://")
    plain = _is_exact(url) and not url.endswith("/") and not set("@?#\\") & set(rest)
    local = rest.split("/", 1)[0].rsplit(":", 1)[0] in ("127.0.0.1", "localhost", "[::1]")
    return plain and bool(separator and rest) and (scheme == "https" or (scheme == "http" and local))


def _is_whole(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < 2**53


def _moment(value: object) -> datetime:
    if not _is_whole(value):
        raise BadJOSE("a time in the trust list is not a NumericDate in whole seconds")
    return from_numeric_date(value)
