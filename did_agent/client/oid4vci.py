"""An agent as a wallet: it takes a credential offer and proves its key (OpenID for Verifiable Credential Issuance 1.0).

An offer may come from anybody.  What it names is fetched with the care for strangers' addresses, every endpoint must be
where its own issuer is, and a credential is kept only if it is signed by its issuer and made out to this agent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from typing import Any, Final

import httpx2

from did_agent.client.credential_offer import (
    PRE_AUTHORIZED,
    CredentialOffer,
    Metadata,
    fetch_metadata,
    fetch_server_metadata,
    member,
    read_offer,
)
from did_agent.client.dpop import DPoPSigner
from did_agent.client.wire import send, text_in
from did_agent.clock import Clock, system_clock
from did_agent.credential.context import CONTEXT_V2
from did_agent.credential.sd_jwt_vc import verify_sd_jwt_vc
from did_agent.credential.verification import ask
from did_agent.did.key import did_key
from did_agent.errors import (
    AuthorizationPending,
    BadCredential,
    HolderMismatch,
    MissingParameter,
    PeerUnavailable,
)
from did_agent.keys.jwk import public_jwk
from did_agent.keys.public import SigningKey
from did_agent.tokens.key_proof import make_key_proof

WAIT_SECONDS: Final = 600.0  # s that an approval is waited for
MAX_INTERVAL: Final = 60.0  # s between two questions, whatever the issuer says
_DEFAULT_INTERVAL: Final = 5.0

Keep = Callable[[Mapping[str, Any]], None]
Sleep = Callable[[float], Awaitable[None]]


class OfferClient:
    """Takes offers with one key."""

    def __init__(self, key: SigningKey, *, clock: Clock = system_clock, sleep: Sleep = asyncio.sleep) -> None:
        self._key, self._clock, self._did, self._sleep = key, clock, did_key(key.public), sleep

    async def accept(
        self,
        uri: str,
        *,
        keep: Keep,
        tx_code: str | None = None,
        issuer: str | None = None,
        token: str | None = None,
        wait_seconds: float = WAIT_SECONDS,
    ) -> list[dict[str, Any]]:
        """Take everything an offer holds, hand each credential to `keep`, and tell the issuer.

        `issuer` is who the offer must be from; without it any issuer with a public https address may be named, or one
        on this machine.  `token` is an access token for the issuer, for offers that a person takes by signing in.
        Raises: InvalidParameter, MissingParameter, WrongIssuer, WrongAudience, BadCredential, HolderMismatch,
        AuthorizationPending, ServerRefused, PeerUnavailable, and what a bad proof raises.
        """
        offer = await read_offer(uri, issuer=issuer)
        metadata = await fetch_metadata(offer.issuer)
        shown = _Shown(token) if token is not None else await self._redeem(offer, metadata, tx_code)
        taken = []
        for configuration in offer.configurations:
            answer = await self._ask(metadata, configuration, shown, wait_seconds)
            kept = [self._ours(one, metadata, configuration) for one in _credentials(answer)]
            for one in kept:
                keep(one)
            taken += kept
            await _notify(metadata, answer, shown)
        return taken

    async def _redeem(self, offer: CredentialOffer, metadata: Metadata, tx_code: str | None) -> _Shown:
        if offer.code is None:
            raise MissingParameter("this offer is taken by a person who signs in: bring their token")
        if offer.needs_tx_code and tx_code is None:
            raise MissingParameter("the offer needs the transaction code that came on another way")
        server = await fetch_server_metadata(offer, metadata)
        dpop = DPoPSigner(self._key, clock=self._clock) if server.get("dpop_signing_alg_values_supported") else None
        form = {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": offer.code}
        if offer.needs_tx_code and tx_code is not None:
            form["tx_code"] = tx_code
        answer = await send(
            "credential issuer", text_in(dict(server), "token_endpoint"), "POST", "", data=form, dpop=dpop
        )
        bound = str(answer.get("token_type", "")).lower() == "dpop"
        return _Shown(text_in(answer, "access_token"), dpop if bound else None)

    async def _ask(self, metadata: Metadata, configuration: str, shown: _Shown, wait_seconds: float) -> dict[str, Any]:
        issuer = text_in(dict(metadata), "credential_issuer")
        nonce = text_in(await _post(metadata, "nonce_endpoint", None), "c_nonce")
        # The proof is addressed to whom we connected to, never to whom an answer names.
        proof = make_key_proof(self._key, audience=issuer, nonce=nonce, now=self._clock())
        body = {"credential_configuration_id": configuration, "proofs": {"jwt": [proof]}}
        answer = await _post(metadata, "credential_endpoint", shown, json=body)
        waited = 0.0
        while "transaction_id" in answer:
            wait = _interval(answer)
            if waited + wait > wait_seconds:
                raise AuthorizationPending("the credential waits for an approval that did not come in time")
            await self._sleep(wait)
            waited += wait
            asked = {"transaction_id": text_in(answer, "transaction_id")}
            answer = await _post(metadata, "deferred_credential_endpoint", shown, json=asked)
        return answer

    def _ours(self, credential: object, metadata: Metadata, configuration: str) -> dict[str, Any]:
        """Return a credential in the form a wallet keeps, if its issuer signed it for this agent."""
        now = self._clock()
        if isinstance(credential, str):
            described = member(metadata["credential_configurations_supported"], configuration)
            verified = verify_sd_jwt_vc(
                credential,
                expected_vct=frozenset({str(described.get("vct"))}),
                key_binding="insecure_without_key_binding",
                now=now,
            )
            if verified.claims.get("cnf") != {"jwk": public_jwk(self._key.public)}:
                raise HolderMismatch("the credential is bound to another key")
            data = f"data:application/dc+sd-jwt,{credential}"
            return {"@context": [CONTEXT_V2], "id": data, "type": "EnvelopedVerifiableCredential"}
        if not isinstance(credential, dict):
            raise BadCredential("a credential is an object or a text")
        believed = ask(credential, now=now)  # its issuer signed it
        subject = believed.document.get("credentialSubject")
        if not isinstance(subject, dict) or subject.get("id") != self._did:
            raise HolderMismatch("the credential is made out to somebody else")
        return credential


class _Shown(httpx2.Auth):
    """Shows the issuer's token, with a proof of the key it is bound to."""

    def __init__(self, token: str, dpop: DPoPSigner | None = None) -> None:
        self._token, self._dpop = token, dpop

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Add the token."""
        if self._dpop is None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        else:
            request.headers["Authorization"] = f"DPoP {self._token}"
            request.headers["DPoP"] = self._dpop.proof(request.method, str(request.url), access_token=self._token)
        yield request


async def _post(metadata: Metadata, endpoint: str, shown: _Shown | None, **content: Any) -> dict[str, Any]:
    return await send("credential issuer", text_in(dict(metadata), endpoint), "POST", "", auth=shown, **content)


async def _notify(metadata: Metadata, answer: Mapping[str, Any], shown: _Shown) -> None:
    if "notification_id" in answer and "notification_endpoint" in metadata:
        said = {"notification_id": answer["notification_id"], "event": "credential_accepted"}
        await _post(metadata, "notification_endpoint", shown, json=said)


def _credentials(answer: Mapping[str, Any]) -> Sequence[object]:
    listed = answer.get("credentials")
    if not isinstance(listed, list) or not all(isinstance(one, dict) and "credential" in one for one in listed):
        raise PeerUnavailable("the answer has no credentials")
    return [one["credential"] for one in listed]


def _interval(answer: Mapping[str, Any]) -> float:
    said = answer.get("interval", _DEFAULT_INTERVAL)
    return min(float(said), MAX_INTERVAL) if isinstance(said, int) and said > 0 else _DEFAULT_INTERVAL
