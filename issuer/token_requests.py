"""The token request of a wallet with a pre-authorized code (OpenID4VCI 1.0, 6.1), read strictly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from did_agent.encoding.strict_json import parse_json
from did_agent.errors import InvalidParameter, Malformed, MissingParameter, UnsupportedDetails, UnsupportedGrantType
from issuer.configurations import PRE_AUTHORIZED

MAX_VALUE: Final = 256  # characters of a code, a transaction code or a client's name
_DETAIL: Final = "openid_credential"
_MEMBERS: Final = frozenset({"type", "credential_configuration_id", "locations"})
_MAX_DETAILS: Final = 8  # entries
_MAX_TEXT: Final = 4_096  # characters of authorization_details


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """What a wallet sends to redeem a code."""

    code: str = field(repr=False)
    tx_code: str | None = field(repr=False)
    client_id: str | None
    resources: Sequence[str]
    configurations: tuple[str, ...]  # named in authorization_details


def read_token_request(
    *,
    grant_type: str | None,
    code: str | None,
    tx_code: str | None,
    client_id: str | None,
    details: str | None,
    resources: Sequence[str],
) -> TokenRequest:
    """Return what is asked for.

    Raises: MissingParameter, UnsupportedGrantType, InvalidParameter, UnsupportedDetails.
    """
    if grant_type is None:
        raise MissingParameter("grant_type is required")
    if grant_type != PRE_AUTHORIZED:
        raise UnsupportedGrantType("only pre-authorized codes are redeemed here")
    if code is None:
        raise MissingParameter("pre-authorized_code is required")
    for name, value in (("pre-authorized_code", code), ("tx_code", tx_code), ("client_id", client_id)):
        if value is not None and (len(value) > MAX_VALUE or not value.isprintable()):
            raise InvalidParameter(f"{name} is no short text")
    return TokenRequest(
        code=code,
        tx_code=tx_code,
        client_id=client_id,
        resources=resources,
        configurations=() if details is None else _configurations(details),
    )


def require_details(asked: TokenRequest, offered: Sequence[str]) -> None:
    """Return when authorization details name nothing beyond the offer.

    Raises: UnsupportedDetails.
    """
    if set(asked.configurations) - set(offered):
        raise UnsupportedDetails("authorization_details name a configuration that is not in the offer")


def _configurations(text: str) -> tuple[str, ...]:
    try:
        listed = parse_json(text.encode(), max_bytes=_MAX_TEXT)
    except Malformed as error:
        raise UnsupportedDetails("authorization_details is not strict JSON") from error
    if not isinstance(listed, list) or not 0 < len(listed) <= _MAX_DETAILS:
        raise UnsupportedDetails("authorization_details is not a short list")
    return tuple(dict.fromkeys(_configuration(one) for one in listed))


def _configuration(one: object) -> str:
    if not isinstance(one, dict) or one.get("type") != _DETAIL or not one.keys() <= _MEMBERS:
        raise UnsupportedDetails(f"only details of type {_DETAIL} with a credential_configuration_id are known")
    name = one.get("credential_configuration_id")
    if not isinstance(name, str):
        raise UnsupportedDetails("credential_configuration_id is a text")
    return name
