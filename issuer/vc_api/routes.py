"""Routes of the issuer's VC-API (VCALM 0.9, 3.2); without authentication, so for loopback and interop alone."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.vc_answers import answering, created, read_body
from did_agent.clock import Clock
from did_agent.credential.status import Purpose, StatusEntry, build_status_list_credential
from did_agent.did.key import did_key, verification_method
from did_agent.errors import InvalidParameter, NotFound, StateConflict
from did_agent.keys.public import SigningKey
from did_agent.proof.data_integrity import add_proof
from issuer.status_lists import LIST_LIFE, LIST_SIZE, LIST_TTL
from issuer.vc_api.profile import Options, name_of, parse_options, prepare, secure_credential
from issuer.vc_api.store import VCStore

PURPOSES: Final[dict[str, Purpose]] = {"revocation": "revocation", "suspension": "suspension"}
PREFIX: Final = "/vc-api"  # the issuer's own API has a /credentials too
_ATTEMPTS: Final = 8  # random indices tried before the list is called full


class VCIssuer:
    """Issues for interop: its keys, its store and its lists."""

    def __init__(self, keys: Sequence[SigningKey], store: VCStore, *, url: str, clock: Clock) -> None:
        self._keys, self._store, self._url, self._clock = keys, store, url, clock

    async def issue(self, credential: Mapping[str, object], options: Options) -> dict[str, object]:
        """Return the signed credential, kept under its name.

        Raises: Malformed leaves, WrongIssuer, WrongKey, StateConflict when the name is taken.
        """
        for _ in range(_ATTEMPTS if options.status_purpose else 1):
            index = secrets.randbelow(LIST_SIZE) if options.status_purpose else None
            document = prepare(credential, self._entry(options.status_purpose, index))
            signed = secure_credential(document, options, self._keys, now=self._clock())
            if await self._store.add(name_of(document, options), signed, index):
                return signed
        if options.credential_id is not None or options.status_purpose is not None:
            raise StateConflict("a credential of this name exists, or the status list is full")
        return signed  # the same document again, without a status: the newest signature is as good as the kept one

    async def status_list(self, purpose: str) -> dict[str, object]:
        """Return the signed status list of a purpose.

        Raises: NotFound.
        """
        if purpose not in PURPOSES:
            raise NotFound("there is no such status list")
        bits = bytearray(LIST_SIZE // 8)
        for index in await self._store.set_bits(purpose):
            bits[index >> 3] |= 0x80 >> (index & 7)
        key, now = self._keys[0], _rounded(self._clock())
        issuer = did_key(key.public)
        document = build_status_list_credential(
            url=self._list_url(purpose),
            issuer=issuer,
            purpose=PURPOSES[purpose],
            bits=bytes(bits),
            valid_from=now,
            valid_until=now + LIST_LIFE,
            ttl_ms=int(LIST_TTL.total_seconds() * 1000),
        )
        return add_proof(
            document, key, purpose="assertionMethod", created=now, verification_method=verification_method(issuer)
        )

    async def update(self, name: str, entry: Mapping[str, object], *, value: bool) -> None:
        """Set or clear one status of a credential.

        Raises: InvalidParameter, NotFound.
        """
        purpose = entry.get("statusPurpose")
        if not isinstance(purpose, str) or purpose not in PURPOSES:
            raise InvalidParameter("statusPurpose is revocation or suspension")
        if purpose == "revocation" and not value:
            raise InvalidParameter("a revocation is not taken back")
        if not await self._store.set_status(name, purpose, value=value):
            raise NotFound("there is no such credential with a status")

    async def find(self, name: str) -> Mapping[str, object]:
        """Return a credential by its name.

        Raises: NotFound.
        """
        found = await self._store.find(name)
        if found is None:
            raise NotFound("there is no such credential")
        return found

    def issuers(self) -> list[dict[str, object]]:
        """Return the DIDs that may stand as `issuer`."""
        return [{"id": did_key(key.public), "keyType": key.public.kind} for key in self._keys]

    def _entry(self, purpose: str | None, index: int | None) -> Mapping[str, object] | None:
        if purpose is None or index is None:
            return None
        if purpose not in PURPOSES:
            raise InvalidParameter("statusPurpose is revocation or suspension")
        return StatusEntry(list_url=self._list_url(purpose), index=index, purpose=PURPOSES[purpose]).to_json()

    def _list_url(self, purpose: str) -> str:
        return f"{self._url}{PREFIX}/status-lists/{purpose}"


def add_vc_api(app: FastAPI, issuer: VCIssuer) -> None:
    """Add the routes of the VC-API to the issuer's app."""

    async def issue(request: Request) -> Response:
        body = await read_body(request)
        credential = body.get("credential", body if "@context" in body else None)
        if not isinstance(credential, dict):
            raise InvalidParameter("credential is not an object")
        asked = request.query_params.get("statusPurpose")
        options = parse_options({} if credential is body else body.get("options", {}), status_purpose=asked)
        signed = await issuer.issue(credential, options)
        return created({"verifiableCredential": signed}, unknown=options.unknown)

    async def update_status(request: Request) -> Response:
        body = await read_body(request)
        name, entry, value = body.get("credentialId"), body.get("credentialStatus"), body.get("status", True)
        if not isinstance(name, str) or not isinstance(entry, dict) or not isinstance(value, bool):
            raise InvalidParameter("credentialId, credentialStatus and status are a string, an object and a boolean")
        await issuer.update(name, entry, value=value)
        return JSONResponse({})

    async def issuers(_request: Request) -> Response:
        return JSONResponse({"issuers": issuer.issuers()})

    async def show(request: Request) -> Response:
        return JSONResponse({"verifiableCredential": await issuer.find(request.path_params["name"])})

    async def status_list(request: Request) -> Response:
        document = await issuer.status_list(request.path_params["purpose"])
        return JSONResponse(document, headers={"Cache-Control": f"max-age={int(LIST_TTL.total_seconds())}"})

    for method, path, handler in (
        ("POST", "/credentials/issue", issue),
        ("POST", "/credentials/status", update_status),
        ("GET", "/credentials/issuers", issuers),
        ("GET", "/credentials/{name:path}", show),
        ("GET", "/status-lists/{purpose}", status_list),
    ):
        app.add_api_route(PREFIX + path, answering(handler), methods=[method])


def _rounded(now: datetime) -> datetime:
    # The same bytes for a while, so that caches can be told "not modified".
    return now - timedelta(seconds=now.timestamp() % (LIST_TTL.total_seconds() / 2))
