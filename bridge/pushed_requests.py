"""Pushed authorization requests (RFC 9126): what is kept of one, and for how long."""

from __future__ import annotations

import hashlib
from typing import Final

from bridge.model import OAuthRequest
from bridge.model.clients import PushedRequest
from did_agent.encoding import base64url
from did_agent.errors import InvalidParameter

PREFIX: Final = "urn:ietf:params:oauth:request_uri:"
REQUEST_SECONDS: Final = 300  # a person must be able to sign in and decide meanwhile

_CREDENTIALS: Final = ("client_assertion", "client_assertion_type", "client_secret")


def request_digest(request_uri: str) -> str:
    """Return what is stored of a request URI: whoever reads the database cannot use it."""
    return base64url.encode(hashlib.sha256(request_uri.encode()).digest())


def to_push(asked: OAuthRequest, *, client_id: str, dpop_jkt: str | None) -> PushedRequest:
    """Return what is kept of a request by an authenticated client; a DPoP proof binds its code to that key.

    Raises: InvalidParameter.
    """
    if asked.get("request_uri") is not None:
        raise InvalidParameter("a pushed request is pushed once")
    if dpop_jkt is not None and asked.get("dpop_jkt") not in (None, dpop_jkt):
        raise InvalidParameter("dpop_jkt is not the key of the DPoP proof")
    kept = {name: value for name, value in asked.parameters.items() if name not in _CREDENTIALS}
    bound = {} if dpop_jkt is None else {"dpop_jkt": dpop_jkt}
    return PushedRequest(
        client_id=client_id, parameters={**kept, "client_id": client_id, **bound}, resources=asked.resources
    )
