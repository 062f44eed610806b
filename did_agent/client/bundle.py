"""Gathers the evidence of one request: rows and proofs of the ledger, credentials of the bridge, lists of issuers."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from did_agent.adapters.did_web import DIDWebResolver
from did_agent.adapters.http import GuardedFetcher, is_loopback
from did_agent.audit.bundle import MAX_LISTS, MAX_ROWS, Bundle, BundledRow
from did_agent.client.errors import ServerRefused
from did_agent.client.wire import objects_in, segment, send, text_in
from did_agent.clock import Clock, system_clock
from did_agent.did.web import PREFIX as DID_WEB
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.errors import DidAgentError, NotFound, PeerUnavailable

MAX_SEARCHED: Final = 500  # rows in which the issue of a token, or the end of a credential, is looked for
LAST: Final = "last"
TRIES: Final = 3
BETWEEN: Final = 0.7  # s
_EVENT_ID: Final = "urn:uuid:"
_GONE: Final = 404

_Row = Mapping[str, Any]
Call = Callable[..., Awaitable[dict[str, Any]]]  # method, path and `params` to the members of an answer


def reading(party: str, url: str, *, auth: httpx2.Auth) -> Call:
    """Return how a party is asked with an authentication of our own."""

    async def call(method: str, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        return await send(party, url, method, path, auth=auth, params=params)

    return call


@dataclass(frozen=True, slots=True)
class EvidenceClient:
    """Reads the ledger as somebody with `audit:read`; everything else is public."""

    ledger: Call
    bridge: str
    clock: Clock = system_clock

    async def rows(self, identifier: str) -> list[dict[str, Any]]:
        """Return the rows of an event id, or of the request that a party gave this id; the oldest first.

        `last` is the newest event that has credentials behind it.
        Raises: NotFound, ServerRefused, PeerUnavailable.
        """
        name = "id" if identifier.startswith(_EVENT_ID) else "request_id"
        for attempt in range(TRIES):
            if identifier == LAST:
                found = [row for row in await self._events() if row["event"]["evidence"]][-1:]
            else:
                found = await self._events(**{name: identifier})
            if found:
                return found
            if attempt + 1 < TRIES:
                await asyncio.sleep(BETWEEN)  # events come within a second of the answer
        raise NotFound(f"the ledger has no event of {name.replace('_', ' ')} {identifier[:80]}")

    async def related(self, row: _Row) -> list[dict[str, Any]]:
        """Return the rows that say how a row came about and what came of it: its token, its credentials' end.

        Raises: ServerRefused, PeerUnavailable.
        """
        event, found = row["event"], []
        agents = [*event["actors"], *([event["principal"]] if event["principal_kind"] == "agent" else [])]
        if event["token_id"] and event["action"] != "token.issue" and agents:
            made = await self._events(action="token.issue", actor=str(agents[0]))
            found += [one for one in made if one["event"]["token_id"] == event["token_id"]]
        for credential in event["credential_ids"]:
            found += await self._events(target=str(credential), action="credential.revoke", decision="allow")
        return found

    async def evidence(self, digest: str) -> list[dict[str, Any]] | None:
        """Return the credentials behind a digest; None where the bridge has none.

        Raises: ServerRefused, PeerUnavailable.
        """
        try:
            answer = await send("bridge", self.bridge, "GET", f"/evidence/{segment(digest)}")
        except ServerRefused as error:
            if error.status == _GONE:
                return None
            raise
        return objects_in(answer, "credentials")

    async def gather(self, identifier: str, *, held: Sequence[Sequence[Mapping[str, Any]]] = ()) -> Bundle:
        """Return the bundle of an event or a request; `held` are credentials that its caller has, leaf first.

        Raises: NotFound, ServerRefused, PeerUnavailable.
        """
        asked = await self.rows(identifier)
        about = asked[-1]
        every = {int(row["seq"]): row for row in [*await self.related(about), *asked]}
        shown = sorted(every)[-MAX_ROWS:]
        size, note, lines = await self._checkpoint(max(shown))
        key = await self.ledger("GET", "/key")
        rows = tuple([await self._proven(every[seq], size) for seq in shown])
        evidence = await self._behind([row.event for row in rows], held)
        documents = [one for listed in evidence.values() for one in listed]
        return Bundle(
            about=str(about["event"]["id"]),
            made=self.clock(),
            origin=text_in(key, "origin"),
            log=text_in(key, "did"),
            checkpoint=note,
            cosignatures=lines,
            rows=rows,
            evidence=evidence,
            lists=tuple(await self._lists(documents)),
            did_documents=await self._did_documents(documents),
            bridge=await self.bridge_keys(),
        )

    async def acted(self, agent: str) -> list[dict[str, Any]]:
        """Return the newest rows in which an agent, or a program, acts.

        Raises: ServerRefused, PeerUnavailable.
        """
        return await self._events(actor=agent)

    async def _events(self, **question: str) -> list[dict[str, Any]]:
        asked = {**question, "newest": "true", "limit": str(MAX_SEARCHED)}
        answer = await self.ledger("GET", "/events", params=asked)
        rows = objects_in(answer, "events")
        exact = {name: question[name] for name in ("id", "request_id", "action", "target") if name in question}
        return [row for row in rows if all(row["event"].get(name) == value for name, value in exact.items())]

    async def _checkpoint(self, seq: int) -> tuple[int, str, tuple[str, ...]]:
        """Return the state with a row that most witnesses signed, else the newest."""
        try:
            found = await self.ledger("GET", "/cosignatures", params={"least": str(seq)})
            if int(found["size"]) >= seq:
                return int(found["size"]), text_in(found, "checkpoint"), tuple(map(str, found["cosignatures"]))
        except (ServerRefused, KeyError, TypeError, ValueError):
            pass  # nobody watches this ledger
        newest = await self.ledger("GET", "/events", params={"limit": "1"})
        size = newest.get("size")
        after = str(max(int(size) if isinstance(size, int) else 0, seq) - 1)
        params = {"after": after, "limit": "1"}
        answer = await self.ledger("GET", "/checkpoints", params=params)
        for one in objects_in(answer, "checkpoints"):
            return int(one["size"]), text_in(one, "note"), ()
        raise PeerUnavailable("the ledger has no checkpoint over the row")

    async def _proven(self, row: _Row, size: int) -> BundledRow:
        params = {"seq": str(row["seq"]), "size": str(size)}
        answer = await self.ledger("GET", "/proofs/inclusion", params=params)
        try:
            path = tuple(base64.b64decode(str(node), validate=True) for node in answer["proof"])
        except (KeyError, TypeError, binascii.Error) as error:
            raise PeerUnavailable("the answer has no proof") from error
        return BundledRow(seq=int(row["seq"]), event=row["event"], salts=row.get("salts") or {}, proof=path)

    async def _behind(
        self, events: Iterable[Mapping[str, Any]], held: Sequence[Sequence[Mapping[str, Any]]]
    ) -> dict[str, Sequence[Mapping[str, Any]]]:
        brought = {digest_uri(canonicalize(list(one))): one for one in held}
        found: dict[str, Sequence[Mapping[str, Any]]] = {}
        for digest in dict.fromkeys(str(event["evidence"]) for event in events if event["evidence"]):
            listed = brought.get(digest) or await self.evidence(digest)
            if listed is not None:
                found[digest] = listed
        return found

    async def _lists(self, documents: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return the status lists that credentials name, as far as they can be had."""
        fetcher, found = GuardedFetcher(allow_loopback=is_loopback(self.bridge)), []
        urls = dict.fromkeys(url for document in documents for url in list_urls(document))
        try:
            for url in list(urls)[:MAX_LISTS]:
                try:
                    found.append(await fetcher.get_json(url))
                except DidAgentError:
                    continue  # then nobody can say from the bundle what was revoked, and it says so
        finally:
            await fetcher.aclose()
        return found

    async def _did_documents(self, documents: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        named = {str(document.get("issuer")) for document in documents}
        dids = sorted(did for did in named if did.startswith(DID_WEB))
        if not dids:
            return {}
        here = is_loopback(self.bridge)
        fetcher = GuardedFetcher(allow_loopback=here)
        try:
            found = await DIDWebResolver(fetcher, clock=self.clock, allow_loopback=here).documents(dids)
        finally:
            await fetcher.aclose()
        return {did: document.source for did, document in found.items()}

    async def bridge_keys(self) -> dict[str, Any]:
        """Return the bridge's keys: whoever has the token of the call compares it with them.

        Raises: ServerRefused, PeerUnavailable.
        """
        parts = urlsplit(self.bridge)
        origin, path = f"{parts.scheme}://{parts.netloc}", f"/.well-known/oauth-authorization-server{parts.path}"
        metadata = await send("bridge", origin, "GET", path)
        jwks = await send("bridge", text_in(metadata, "jwks_uri"), "GET", "")
        return {"issuer": self.bridge, "jwks": jwks}


def list_urls(document: Mapping[str, Any]) -> list[str]:
    """Return where the status of a credential is kept."""
    entries = document.get("credentialStatus", [])
    listed = entries if isinstance(entries, list) else [entries]
    return [
        str(one["statusListCredential"]) for one in listed if isinstance(one, dict) and "statusListCredential" in one
    ]
