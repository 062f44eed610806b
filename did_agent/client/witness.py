"""A witness of a ledger: looks at its newest checkpoint, sees that the log only grew, and co-signs (AUD-03)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from did_agent.adapters.files import write_private
from did_agent.audit.checkpoint import Checkpoint, verify_checkpoint
from did_agent.audit.cosignature import cosign, require_extends
from did_agent.client.errors import ServerRefused
from did_agent.client.wire import objects_in, send, text_in
from did_agent.clock import Clock, system_clock
from did_agent.did.key import parse_did_key
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import BadLog, Malformed, Misconfigured, PeerUnavailable, UntrustedIssuer
from did_agent.keys.ed25519 import SigningKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The state that a witness signed last, and whose log it is."""

    log: str  # DID of its key
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessClient:
    """Watches one ledger; `auth` is needed for reading it."""

    ledger: str
    auth: httpx2.Auth
    name: str
    key: SigningKey
    memory: Path  # what was signed last; losing it lets a fork through once
    clock: Clock = system_clock

    async def watch(self, *, log: str, origin: str) -> tuple[Checkpoint, bool]:
        """Co-sign the newest state of the log that has the key `log`; tell the state, and whether it was new.

        Where another witness signed a newer state than we did, that one: so that a quorum has one state to agree on.
        What is signed is remembered before anybody gets it: a witness that forgets could sign both sides of a fork.
        Raises: BadLog for a fork or a log that shrank, UntrustedIssuer when the ledger does not listen to us,
        Misconfigured, ServerRefused, PeerUnavailable.
        """
        seen = self._remembered()
        note = await self._others(seen) or await self._newest()
        shown = verify_checkpoint(note, origin=origin, key=parse_did_key(log))
        if seen is not None and seen.log != log:
            raise BadLog(f"the log was signed by {seen.log} before, and is by {log} now")
        before = None if seen is None else seen.checkpoint
        require_extends(before, shown, await self._proof(before, shown))
        line = cosign(note, name=self.name, key=self.key, now=self.clock())
        self._remember(Seen(log=log, checkpoint=shown))
        path = f"/checkpoints/{shown.size}/cosignatures"
        try:
            await send("ledger", self.ledger, "POST", path, json={"cosignature": line})
        except ServerRefused as error:
            if error.server_code != UntrustedIssuer.code:
                raise
            raise UntrustedIssuer("the ledger is not set up with this witness: DID_AGENT_WITNESSES") from error
        return shown, before is None or before.size < shown.size

    async def _others(self, seen: Seen | None) -> str | None:
        """Return the state that another witness signed since: joining it, all of them sign the same."""
        try:
            found = await send("ledger", self.ledger, "GET", "/cosignatures", auth=self.auth)
        except ServerRefused:
            return None
        size, known = found.get("size"), 0 if seen is None else seen.checkpoint.size
        return text_in(found, "checkpoint") if isinstance(size, int) and size > known else None

    async def _newest(self) -> str:
        page = await send("ledger", self.ledger, "GET", "/events", auth=self.auth, params={"limit": "1"})
        size = page.get("size")
        if not isinstance(size, int) or size < 1:
            raise PeerUnavailable("the ledger has no rows yet")
        params = {"after": str(size - 1), "limit": "1"}
        answer = await send("ledger", self.ledger, "GET", "/checkpoints", auth=self.auth, params=params)
        for found in objects_in(answer, "checkpoints"):
            return text_in(found, "note")
        raise PeerUnavailable("the ledger has no checkpoint")

    async def _proof(self, before: Checkpoint | None, shown: Checkpoint) -> Sequence[bytes]:
        if before is None or not 0 < before.size < shown.size:
            return ()
        params = {"from": str(before.size), "to": str(shown.size)}
        answer = await send("ledger", self.ledger, "GET", "/proofs/consistency", auth=self.auth, params=params)
        try:
            return [base64.b64decode(str(node), validate=True) for node in answer["proof"]]
        except (KeyError, TypeError, binascii.Error) as error:
            raise PeerUnavailable("the answer has no proof") from error

    def _remembered(self) -> Seen | None:
        try:
            members: dict[str, Any] = parse_object(self.memory.read_bytes())
            root = base64.b64decode(members["root"], validate=True)
            checkpoint = Checkpoint(origin=str(members["origin"]), size=int(members["size"]), root=root)
            return Seen(log=str(members["log"]), checkpoint=checkpoint)
        except FileNotFoundError:
            return None
        except (Malformed, KeyError, TypeError, ValueError) as error:
            raise Misconfigured(f"{self.memory} cannot be read: nothing is signed without it") from error

    def _remember(self, seen: Seen) -> None:
        point = seen.checkpoint
        root = base64.b64encode(point.root).decode("ascii")
        members = {"log": seen.log, "origin": point.origin, "size": point.size, "root": root}
        write_private(self.memory, json.dumps(members, indent=2).encode())
