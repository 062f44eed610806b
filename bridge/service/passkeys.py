"""Adding, using and removing passkeys; they belong to local accounts (WebAuthn Level 3, 7)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from bridge import audit_trail
from bridge.model import Identity, Spend, User
from bridge.model.passkeys import CEREMONY_SECONDS, MAX_PASSKEYS, Passkey, PasskeyAnswer, RelyingParty
from bridge.passkeys import ADD, RANDOM, SIGN_IN, make_challenge, read_answer, require_challenge, user_handle
from bridge.ports import Store, Transaction
from bridge.ports.passkeys import Authenticator
from bridge.service.sessions import Sessions, SignIn
from did_agent.clock import Clock
from did_agent.encoding import base64url
from did_agent.errors import DidAgentError, HolderMismatch, NotFound, Replayed, StateConflict, Unavailable, WrongKey


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPasskeys:
    """What people can do with passkeys."""

    party: RelyingParty
    authenticator: Authenticator
    algorithms: Sequence[int]  # kinds of keys, the preferred first
    store: Store
    sessions: Sessions
    identity: Identity
    key: bytes = field(repr=False)  # of challenges and of the names devices know accounts by
    clock: Clock

    def to_sign_in(self, cookie: str) -> Mapping[str, object]:
        """Return what to ask the browser for; it names no account, so it tells of none."""
        asked = {"challenge": self._challenge(SIGN_IN, cookie), "rpId": self.party.id}
        return {**asked, "userVerification": "required", "timeout": CEREMONY_SECONDS * 1_000}

    def to_add(self, user: User, known: Sequence[Passkey], cookie: str) -> Mapping[str, object]:
        """Return what to ask the browser for to make a passkey; it makes none where one of `known` is."""
        return {
            "challenge": self._challenge(ADD, cookie),
            "rp": {"id": self.party.id, "name": self.party.id},
            "user": {"id": user_handle(self.key, user.username), "name": user.username, "displayName": user.name},
            "pubKeyCredParams": [{"type": "public-key", "alg": one} for one in self.algorithms],
            "excludeCredentials": [{"type": "public-key", "id": one.id} for one in known],
            "authenticatorSelection": {"residentKey": "required", "userVerification": "required"},
            "attestation": "none",
            "timeout": CEREMONY_SECONDS * 1_000,
        }

    async def list(self, user: User) -> Sequence[Passkey]:
        """Return the person's passkeys, the oldest first."""
        async with self.store.transaction() as work:
            return await work.passkeys(user.username)

    async def add(self, user: User, text: str, *, name: str, cookie: str, request_id: str) -> None:
        """Add the passkey that a device of the person has made.

        Raises: StateConflict, BadJOSE, WrongChallenge, BadSignature, Replayed.
        """
        if not user.password_hash:
            # The company's provider decides about its people each time; a passkey would outlive its no.
            raise StateConflict("an account of your company signs in there")
        answer = self._answer(text, ADD, cookie)
        made = self.authenticator.registered(answer)
        now = self.clock()
        passkey = Passkey(
            id=made.id,
            username=user.username,
            public_key=made.public_key,
            signatures=made.signatures,
            name=name,
            created=now,
        )
        async with self.store.transaction() as work:
            await self._spend(work, answer)
            if len(await work.passkeys(user.username)) >= MAX_PASSKEYS:
                raise StateConflict(f"an account has at most {MAX_PASSKEYS} passkeys")
            if not await work.add_passkey(passkey):
                raise StateConflict("this passkey is known already")
            await self._record(work, "passkey.add", "the person added a passkey", user, passkey.id, request_id)

    async def remove(self, user: User, passkey_id: str, *, request_id: str) -> None:
        """Remove one of the person's passkeys.

        Raises: NotFound.
        """
        async with self.store.transaction() as work:
            if not await work.remove_passkey(user.username, passkey_id):
                raise NotFound("there is no such passkey")
            await self._record(work, "passkey.remove", "the person removed it", user, passkey_id, request_id)

    async def sign_in(self, text: str, *, cookie: str | None, request_id: str) -> SignIn:
        """Open a session for whom a passkey signs in; every refusal looks the same and is recorded.

        Raises: Unavailable.
        """
        try:
            answer = self._answer(text, SIGN_IN, cookie or "")
            async with self.store.transaction() as work:
                return SignIn(await self._sign_in(work, answer, request_id), "allowed")
        except Unavailable:
            raise
        except DidAgentError as error:
            async with self.store.transaction() as work:
                why = f"the passkey: {error.detail}"
                await self.sessions.refuse(work, error.code, why, target="passkey", request_id=request_id)
            return SignIn(None, "passkey_refused")

    async def _sign_in(self, work: Transaction, answer: PasskeyAnswer, request_id: str) -> str:
        passkey = await work.passkey(answer.id)
        user = None if passkey is None else await work.user(passkey.username)
        if passkey is None or user is None or not user.password_hash:
            raise WrongKey("nobody here has this passkey")
        if answer.user_handle not in (None, user_handle(self.key, user.username)):
            raise HolderMismatch("the passkey is said to be another account's")
        count = self.authenticator.signed_in(answer, passkey)
        await self._spend(work, answer)
        if not await work.use_passkey(passkey.id, count=count, now=self.clock()):
            raise Replayed("its signature count was used before")
        return await self.sessions.open(work, user.username, "a passkey signed", request_id=request_id)

    def _challenge(self, purpose: str, cookie: str) -> str:
        random = secrets.token_bytes(RANDOM)
        made = make_challenge(self.key, purpose=purpose, cookie=cookie, random=random, now=self.clock())
        return base64url.encode(made)

    def _answer(self, text: str, purpose: str, cookie: str) -> PasskeyAnswer:
        answer = read_answer(text)
        require_challenge(answer.challenge, self.key, purpose=purpose, cookie=cookie, now=self.clock())
        return answer

    async def _spend(self, work: Transaction, answer: PasskeyAnswer) -> None:
        expires = self.clock() + timedelta(seconds=CEREMONY_SECONDS)
        if not await work.spend(Spend("passkey", base64url.encode(answer.challenge), expires)):
            raise Replayed("the challenge was answered before")

    async def _record(self, work: Transaction, action: str, why: str, user: User, target: str, request_id: str) -> None:
        said: dict[str, Any] = {"principal": user.username, "principal_kind": "user", "target": target[:128]}
        await work.record(
            audit_trail.bridge_event(self.identity, action, why, now=self.clock(), request_id=request_id, **said)
        )
