"""The bridge's policy, pulled as signed bundles: never older than what is known, and believed no longer than they say.

The last good bundle lies in the guard's data folder, so that a restart while the bridge is away neither opens nor
closes the guard before the bundle itself ends (FCL).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import httpx2

from did_agent.adapters.http import peer_client
from did_agent.adapters.keystore import write_private
from did_agent.clock import Clock
from did_agent.did.key import did_key
from did_agent.encoding.strict_json import parse_object
from did_agent.encoding.timestamp import from_numeric_date
from did_agent.errors import (
    DidAgentError,
    Malformed,
    NotYetValid,
    PeerUnavailable,
    PolicyStale,
    PolicyUnavailable,
    Replayed,
)
from did_agent.keys.jwk import parse_public_jwk, public_jwk
from did_agent.keys.public import PublicKey, SigningKey
from did_agent.policy.active import ActivePolicy, activate
from did_agent.policy.document import parse_policy
from did_agent.policy.rules import RuleLanguage
from did_agent.proof.jose import parse_compact
from did_agent.proof.jwt import SKEW, unverified_jws
from did_agent.tokens.client_assertion import make_client_assertion
from did_agent.tokens.policy_bundle import PATH, PolicyBundle, verify_bundle
from did_agent.tokens.profiles import POLICY_BUNDLE
from verifier.ports import KeySource

REFRESH: Final = timedelta(seconds=10)  # between two questions
RETRY: Final = 1.0  # s after a failure
FIRST_ANSWER: Final = 5.0  # s a call waits for the first answer after a start
MAX_FILE: Final = 2 * POLICY_BUNDLE.max_bytes

_log: Final = logging.getLogger("did_agent.policy")


class _Kept(NamedTuple):
    """A verified bundle, ready to answer."""

    policy: ActivePolicy
    expires: datetime


class BridgePolicy:
    """Implements `verifier.ports.PolicySource` for the one bridge we believe."""

    def __init__(
        self,
        bridge: str,
        keys: KeySource,
        *,
        key: SigningKey,
        client_id: str | None = None,
        file: Path,
        language: RuleLanguage,
        clock: Clock,
        refresh: timedelta = REFRESH,
    ) -> None:
        self._bridge, self._keys, self._language, self._clock = bridge, keys, language, clock
        self._key, self._client_id, self._file, self._refresh = key, client_id, file, refresh
        self._name = client_id or did_key(key.public)
        self._kept: _Kept | None = None
        self._refused: str | None = None  # why nothing may be decided, although the bridge answers
        self._known = 0  # the newest version we have seen
        self._etag: str | None = None
        self._first = asyncio.Event()  # set when waiting longer would not help
        self._load()

    async def ready(self) -> None:
        """Return when the bridge has answered, or it is no use to wait longer."""
        if not self._first.is_set():
            try:
                await asyncio.wait_for(self._first.wait(), timeout=FIRST_ANSWER)
            except TimeoutError:
                return  # what is missing is said by `current`

    def current(self, now: datetime) -> ActivePolicy:
        """Return the policy in force.

        Raises: PolicyUnavailable, PolicyStale when the newest bundle has ended.
        """
        if self._refused is not None:
            raise PolicyUnavailable(self._refused)
        if self._kept is None:
            raise PolicyUnavailable("the bridge has not given its policy yet")
        if now >= self._kept.expires:
            raise PolicyStale(f"policy {self._kept.policy.version} was not confirmed since {self._kept.expires:%FT%TZ}")
        return self._kept.policy

    async def run(self) -> None:
        """Ask for ever."""
        failed = False
        async with peer_client() as http:
            while True:
                pause = self._refresh.total_seconds()
                try:
                    await self._ask(http)
                    failed = False
                except (DidAgentError, httpx2.HTTPError) as error:
                    # What is kept stays in force for a while: one answer that did not come is no news yet.
                    level = logging.WARNING if failed and self._kept is not None else logging.INFO
                    failed = True
                    why = error.detail if isinstance(error, DidAgentError) else type(error).__name__
                    _log.log(level, "the bridge's policy cannot be had: %s", why)
                    pause = min(pause, RETRY)
                if self._kept is not None or self._refused is not None:
                    self._first.set()
                await asyncio.sleep(pause)

    async def _ask(self, http: httpx2.AsyncClient) -> None:
        shown = make_client_assertion(self._key, audience=self._bridge, now=self._clock(), client_id=self._client_id)
        headers = {"Authorization": f"Bearer {shown}"}
        if self._etag is not None:
            headers["If-None-Match"] = self._etag
        async with http.stream("GET", self._bridge + PATH, headers=headers) as response:
            if response.status_code == httpx2.codes.NOT_MODIFIED:
                return
            if response.status_code == httpx2.codes.FORBIDDEN:
                self._refuse(
                    f"the bridge does not give its policy to {self._name}: make it a party or a resource server"
                )
            if response.status_code != httpx2.codes.OK:
                raise PeerUnavailable(f"{PATH} answered {response.status_code} to {self._name}")
            text = await _text(response)
            etag = response.headers.get("etag")
        key = await self._keys.find(parse_compact(text, max_bytes=POLICY_BUNDLE.max_bytes).header.get("kid"))
        bundle = verify_bundle(
            text,
            find_key=_only(key),
            expected_issuer=self._bridge,
            known_version=self._known,
            now=self._clock(),
        )
        self._accept(bundle)
        self._etag = etag
        await asyncio.to_thread(self._save, text, key)

    def _accept(self, bundle: PolicyBundle) -> None:
        """Put a verified bundle in force.

        Raises: Replayed; PolicyUnavailable when it cannot be followed here, and then nothing is decided any more.
        """
        kept = self._kept
        if kept is not None and bundle.version == kept.policy.version:
            if bundle.digest != kept.policy.digest:
                raise Replayed(f"policy {bundle.version} has another content than before")
            self._kept, self._refused = kept._replace(expires=max(kept.expires, bundle.expires)), None
            return
        # From here on we know of this version: what was before it is no longer in force, whatever becomes of it.
        self._known = bundle.version
        try:
            self._kept = _Kept(self._compiled(bundle), bundle.expires)
        except (Malformed, PolicyUnavailable) as error:
            self._refuse(f"policy {bundle.version} cannot be followed here: {error.detail or error.public}", error)
        self._refused = None
        _log.info("policy %s is in force", bundle.version)

    def _compiled(self, bundle: PolicyBundle) -> ActivePolicy:
        document = parse_policy(dict(bundle.policy))
        if document.digest != bundle.digest:
            raise PolicyUnavailable("its content is not what its digest names")
        rules = self._language.compile(document.rules) if document.rules else None
        return activate(document, version=bundle.version, rules=rules, issuer=self._bridge)

    def _refuse(self, why: str, error: DidAgentError | None = None) -> None:
        if self._refused != why:
            _log.error("%s", why)
        self._refused, self._etag = why, None
        raise PolicyUnavailable(why) from error

    def _save(self, text: str, key: PublicKey) -> None:
        try:
            write_private(self._file, json.dumps({"bundle": text, "key": public_jwk(key)}).encode())
        except OSError as error:
            _log.warning("the policy is not kept on disk: %s", error.strerror)

    def _load(self) -> None:
        """Take up the bundle of the last run, as far as it is still good.

        Its key lies beside it: whoever may write into this folder holds the guard's own key anyhow.
        """
        try:
            self._accept(self._read(self._file.read_bytes()))
        except FileNotFoundError:
            return
        except (OSError, DidAgentError) as error:
            why = error.detail if isinstance(error, DidAgentError) else error.strerror
            _log.warning("the policy kept in %s does not count: %s", self._file, why)

    def _read(self, raw: bytes) -> PolicyBundle:
        members = parse_object(raw, max_bytes=MAX_FILE)
        text, key = str(members.get("bundle")), parse_public_jwk(members.get("key"), rsa_too=True)
        _, claims = unverified_jws(text, max_bytes=POLICY_BUNDLE.max_bytes)
        issued = claims.get("iat")
        if not isinstance(issued, int) or from_numeric_date(issued) > self._clock() + timedelta(seconds=SKEW):
            raise NotYetValid("it is from the future")
        # As of its own time, so that an ended one still tells which versions are too old; `current` looks at its end.
        return verify_bundle(
            text,
            find_key=_only(key),
            expected_issuer=self._bridge,
            known_version=0,
            now=from_numeric_date(issued),
        )


async def _text(response: httpx2.Response) -> str:
    received = bytearray()
    async for chunk in response.aiter_raw():
        received += chunk
        if len(received) > POLICY_BUNDLE.max_bytes:
            raise PeerUnavailable(f"a bundle of more than {POLICY_BUNDLE.max_bytes} bytes")
    return received.decode("ascii", errors="replace")


def _only(key: PublicKey) -> Callable[[Mapping[str, object], Mapping[str, object]], PublicKey]:
    return lambda _header, _claims: key
