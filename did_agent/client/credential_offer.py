"""A credential offer and the metadata it leads to, as a wallet reads them (OpenID4VCI 1.0, 4 and 12.2).

An offer may come from anybody: what it names is fetched with the care for strangers' addresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import parse_qs, urlsplit

from did_agent.adapters.http import GuardedFetcher, is_loopback
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import InvalidParameter, Malformed, PeerUnavailable, WrongAudience, WrongIssuer

SCHEME: Final = "openid-credential-offer"
PRE_AUTHORIZED: Final = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
MAX_OFFER: Final = 16_384  # characters of an offer

Metadata = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialOffer:
    """An offer as its wallet reads it; nothing in it is believed but where to ask."""

    issuer: str  # credential issuer identifier
    configurations: tuple[str, ...]
    code: str | None = field(repr=False)  # pre-authorized; None where a person signs in
    needs_tx_code: bool
    server: str | None  # authorization server


async def read_offer(uri: str, *, issuer: str | None = None) -> CredentialOffer:
    """Return the offer of a link, fetched if the link only says where it is (4.1).

    Raises: InvalidParameter, WrongIssuer when it is not from `issuer`, PeerUnavailable.
    """
    if len(uri) > MAX_OFFER or not uri.startswith(f"{SCHEME}:"):
        raise InvalidParameter(f"an offer begins with {SCHEME}:// and is not longer than {MAX_OFFER} characters")
    found = parse_qs(urlsplit(uri).query)
    value, place = found.get("credential_offer", []), found.get("credential_offer_uri", [])
    if len(value) + len(place) != 1:
        raise InvalidParameter("the link holds one credential_offer or one credential_offer_uri")
    try:
        if value:
            members: Mapping[str, object] = parse_object(value[0], max_bytes=MAX_OFFER)
        else:
            members = await _fetch(place[0], allow_loopback=issuer is not None and is_loopback(issuer))
    except Malformed as error:
        raise InvalidParameter(f"the offer cannot be read: {error.code}") from error
    offer = _parse_offer(members)
    if issuer is not None and offer.issuer != issuer:
        raise WrongIssuer(f"the offer is from {offer.issuer[:200]}")
    return offer


async def fetch_metadata(issuer: str) -> Metadata:
    """Return the metadata of a credential issuer, which must be its own, with its endpoints where it is (12.2).

    Raises: WrongAudience, PeerUnavailable.
    """
    found = await _well_known(issuer, "openid-credential-issuer")
    if found.get("credential_issuer") != issuer:
        raise WrongAudience("the metadata is of another credential issuer")
    if not isinstance(found.get("credential_configurations_supported"), dict):
        raise PeerUnavailable("the metadata describes no credentials")
    for name in ("credential_endpoint", "nonce_endpoint", "deferred_credential_endpoint", "notification_endpoint"):
        _require_at(found, name, issuer)
    return found


async def fetch_server_metadata(offer: CredentialOffer, metadata: Metadata) -> Metadata:
    """Return the metadata of the authorization server that redeems an offer's code (RFC 8414).

    Raises: WrongAudience, PeerUnavailable.
    """
    servers = metadata.get("authorization_servers", [offer.issuer])
    if not isinstance(servers, list) or not all(isinstance(one, str) for one in servers):
        raise PeerUnavailable("the metadata names no authorization servers")
    server = offer.server or servers[0]
    # Whoever made the offer does not choose where the code goes: the issuer's metadata does.
    if server not in servers or (offer.server is None and len(servers) > 1):
        raise WrongAudience("the offer names no authorization server of this credential issuer")
    found = await _well_known(server, "oauth-authorization-server")
    if found.get("issuer") != server:
        raise WrongAudience("the metadata is of another authorization server")
    _require_at(found, "token_endpoint", server)
    return found


async def _well_known(identifier: str, name: str) -> Metadata:
    parts = urlsplit(identifier)
    place = f"{parts.scheme}://{parts.netloc}/.well-known/{name}{parts.path}"
    return await _fetch(place, allow_loopback=is_loopback(identifier))


async def _fetch(url: str, *, allow_loopback: bool) -> Metadata:
    fetcher = GuardedFetcher(allow_loopback=allow_loopback)
    try:
        return await fetcher.get_json(url)
    except Malformed as error:
        raise PeerUnavailable(f"{url[:200]} is not what was asked for: {error.code}") from error
    finally:
        await fetcher.aclose()


def _parse_offer(members: Mapping[str, object]) -> CredentialOffer:
    issuer, listed = members.get("credential_issuer"), members.get("credential_configuration_ids")
    if not isinstance(issuer, str) or not issuer.isascii() or not issuer.isprintable() or urlsplit(issuer).query:
        raise InvalidParameter("credential_issuer is not a URL")
    if not isinstance(listed, list) or not listed or not all(isinstance(one, str) for one in listed):
        raise InvalidParameter("credential_configuration_ids is a list of names")
    grants = member(members, "grants")
    grant, person = member(grants, PRE_AUTHORIZED), member(grants, "authorization_code")
    code, server = grant.get("pre-authorized_code"), (grant or person).get("authorization_server")
    if not isinstance(code, str | None) or not isinstance(server, str | None):
        raise InvalidParameter("the grant does not have its form")
    return CredentialOffer(
        issuer=issuer,
        configurations=tuple(cast("list[str]", listed)),
        code=code,
        needs_tx_code="tx_code" in grant,
        server=server,
    )


def member(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a member that is an object; an empty one where it is absent.

    Raises: InvalidParameter.
    """
    value = members.get(name, {})
    if not isinstance(value, dict):
        raise InvalidParameter(f"{name[:80]} is not an object")
    return value


def _require_at(metadata: Metadata, name: str, identifier: str) -> None:
    """Return if an endpoint is where its issuer is, so that metadata cannot send us into another network (NET)."""
    value = metadata.get(name)
    if value is None:
        return
    there, here = urlsplit(str(value)), urlsplit(identifier)
    if (there.scheme, there.netloc) != (here.scheme, here.netloc):
        raise WrongAudience(f"{name} is not where its issuer is")
