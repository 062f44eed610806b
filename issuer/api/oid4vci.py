"""OpenID4VCI 1.0 for wallets of agents: metadata, offers, tokens, nonces, credentials, notifications."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.web_input import read_form, require_media_type
from did_agent.did.key import parse_did_key, verification_method
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import DidAgentError, NotFound, Unavailable
from did_agent.keys.jwk import public_jwk
from issuer.access import PUBLIC
from issuer.api.did_web import MAX_AGE
from issuer.api.oid4vci_wire import Door, wallet_error
from issuer.api.routes import COUNTING, Handler, Route, cacheable
from issuer.configurations import PATH, credential_issuer, issuer_metadata, server_metadata, type_metadata
from issuer.model import HOME, Operator
from issuer.notifications import read_notification
from issuer.offers import INTERVAL
from issuer.service.offer_tokens import OfferTokens, Opened, Redeemed
from issuer.service.offers import Offers
from issuer.service.oid4vci import Answer, Wallets
from issuer.service.status import Statuses
from issuer.status_lists import LIST_TTL
from issuer.token_requests import read_token_request
from verifier.http import keys_alone, read_credential

_HOUR: Final = 3_600  # s that metadata may be kept
_KEEP: Final = {"Cache-Control": f"public, max-age={int(LIST_TTL.total_seconds())}", "Access-Control-Allow-Origin": "*"}

Serve = Callable[[Mapping[str, object], Opened, Operator], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletServices:
    """What stands behind the endpoints."""

    offers: Offers
    tokens: OfferTokens
    wallets: Wallets
    statuses: Statuses


def routes(services: WalletServices) -> Sequence[Route]:
    """Return the routes for wallets; all of them are public, since each request proves itself."""
    published = _published(services)
    pages = _Pages(services)
    posts: tuple[tuple[str, str, Handler], ...] = (
        ("/token", "offer.redeem", pages.token),
        ("/nonce", "offer.nonce", pages.nonce),
        ("/credential", "credential.issue", pages.credential),
        ("/deferred", "credential.issue", pages.deferred),
        ("/notification", "offer.notify", pages.notification),
    )
    return (
        *(Route(method="GET", path=at, action="about", access=PUBLIC, handler=one) for at, one in published.items()),
        *(
            Route(method="POST", path=PATH + path, action=action, access=PUBLIC, handler=handler)
            for path, action, handler in posts
        ),
    )


def _published(services: WalletServices) -> Mapping[str, Handler]:
    office, offers = services.offers.office, services.offers
    where = urlsplit(credential_issuer(office.url)).path

    async def issuer(request: Request, _by: Operator) -> Response:
        document = issuer_metadata(office.url, bridge_url=offers.bridge_url)
        return cacheable(request, document, media_type="application/json", max_age=_HOUR)

    async def server(request: Request, _by: Operator) -> Response:
        return cacheable(request, server_metadata(office.url), media_type="application/json", max_age=_HOUR)

    async def keys(request: Request, _by: Operator) -> Response:
        believed = [key.did for key in office.ring.believed(HOME)]
        found = [public_jwk(parse_did_key(did), kid=verification_method(did)) for did in believed]
        document = {"issuer": office.url, "jwks": {"keys": found}}
        return cacheable(request, document, media_type="application/json", max_age=MAX_AGE)

    async def kind(request: Request, _by: Operator) -> Response:
        document = type_metadata(office.url, request.path_params["kind"])
        return cacheable(request, document, media_type="application/json", max_age=_HOUR)

    async def offer(request: Request, _by: Operator) -> Response:
        return JSONResponse(await offers.fetch(request.path_params["handle"]))

    async def statuses(request: Request, _by: Operator) -> Response:
        number = request.path_params["number"]
        if not COUNTING.fullmatch(number):
            raise NotFound("there is no such status list")
        served = await services.statuses.serve("token", int(number))
        headers = {**_KEEP, "ETag": f'"{served.tag}"'}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(served.body, media_type="application/statuslist+jwt", headers=headers)

    return {
        f"/.well-known/openid-credential-issuer{where}": issuer,
        f"/.well-known/oauth-authorization-server{where}": server,
        "/.well-known/jwt-vc-issuer": keys,
        f"{PATH}/types/{{kind}}": kind,
        f"{PATH}/offers/{{handle}}": offer,
        "/token-status-lists/{number}": statuses,
    }


class _Pages:
    """The endpoints that judge; what they refuse is recorded, and answered in the standard's words."""

    def __init__(self, services: WalletServices) -> None:
        self._tokens, self._wallets = services.tokens, services.wallets
        self._office = services.offers.office
        self._base = credential_issuer(self._office.url)

    async def token(self, request: Request, by: Operator) -> Response:
        try:
            form = await read_form(request)
            asked = read_token_request(
                grant_type=form.get("grant_type"),
                code=form.get("pre-authorized_code"),
                tx_code=form.get("tx_code"),
                client_id=form.get("client_id"),
                details=form.get("authorization_details"),
                resources=form.all("resource"),
            )
            shown = keys_alone(request.scope["headers"], method="POST", url=f"{self._base}/token")
            redeemed = await self._tokens.redeem(asked, shown, by=by)
        except DidAgentError as error:
            return await self._refused(error, request, "token", "offer.redeem", by)
        return (
            JSONResponse(_token(redeemed, self._base))
            if isinstance(redeemed, Redeemed)
            else wallet_error(redeemed, request, "token")
        )

    async def nonce(self, _request: Request, _by: Operator) -> Response:
        return JSONResponse({"c_nonce": self._wallets.nonce()})

    async def credential(self, request: Request, by: Operator) -> Response:
        async def serve(members: Mapping[str, object], opened: Opened, by: Operator) -> Response:
            return _credentials(await self._wallets.credential(members, opened, by=by))

        return await self._served(request, by, "credential", serve)

    async def deferred(self, request: Request, by: Operator) -> Response:
        async def serve(members: Mapping[str, object], opened: Opened, by: Operator) -> Response:
            return _credentials(await self._wallets.deferred(members, opened, by=by))

        return await self._served(request, by, "deferred", serve)

    async def notification(self, request: Request, by: Operator) -> Response:
        async def serve(members: Mapping[str, object], opened: Opened, by: Operator) -> Response:
            await self._wallets.notify(read_notification(members), opened, by=by)
            return Response(status_code=204)

        return await self._served(request, by, "notification", serve)

    async def _served(self, request: Request, by: Operator, door: Door, serve: Serve) -> Response:
        """Open the door for whoever shows a token, then serve; a refusal names whom it refused."""
        action = "offer.notify" if door == "notification" else "credential.issue"
        at: Door = "access"
        try:
            scope, url = request.scope, f"{self._base}/{door}"
            shown = read_credential(scope["headers"], scope.get("query_string", b""), method="POST", url=url)
            opened = await self._tokens.open(shown)
            at, by = door, _asking(by, opened)
            require_media_type(request, "application/json")
            return await serve(parse_object(await request.body()), opened, by)
        except DidAgentError as error:
            target = None if at == "access" else opened.offer_id
            return await self._refused(error, request, at, action, by, target=target)

    async def _refused(
        self,
        error: DidAgentError,
        request: Request,
        door: Door,
        action: str,
        by: Operator,
        *,
        target: str | None = None,
    ) -> Response:
        if not isinstance(error, Unavailable):
            await self._office.record_refusal(error, action=action, target=target, by=by)
        return wallet_error(error, request, door)


def _asking(by: Operator, opened: Opened) -> Operator:
    who = replace(by, client_id=opened.client_id, token_id=opened.token_id)
    return who if opened.person is None else replace(who, principal=opened.person, kind="user")


def _token(redeemed: Redeemed, base: str) -> dict[str, object]:
    token = redeemed.token
    body: dict[str, object] = {
        "access_token": redeemed.access_token,
        "token_type": "Bearer" if token.jkt is None else "DPoP",
        "expires_in": redeemed.seconds,
    }
    if token.identifiers:
        body["authorization_details"] = [
            {
                "type": "openid_credential",
                "credential_configuration_id": name,
                "credential_identifiers": [name],
                "locations": [base],
            }
            for name in token.identifiers
        ]
    return body


def _credentials(answer: Answer) -> Response:
    if answer.transaction_id is not None:
        return JSONResponse({"transaction_id": answer.transaction_id, "interval": INTERVAL}, status_code=202)
    body: dict[str, object] = {"credentials": [{"credential": one} for one in answer.credentials]}
    if answer.notification_id is not None:
        body["notification_id"] = answer.notification_id
    return JSONResponse(body)
