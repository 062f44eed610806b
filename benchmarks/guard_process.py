"""What a decision costs in process: tokens and presentations, first seen and seen before, with and without the disk."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

from guard_servers import issued, settled
from nacl.signing import VerifyKey
from token_load import bodies
from token_servers import RESOURCE, Bridge

from did_agent.audit.event import AuditEvent
from did_agent.clock import system_clock
from did_agent.credential.capability import parse_capability
from did_agent.credential.issuance import attenuate
from did_agent.did.key import did_key
from did_agent.encoding import base64url
from did_agent.encoding.timestamp import parse_timestamp
from did_agent.keys.ed25519 import SigningKey
from did_agent.presentation.present import present_jwt
from verifier.composition import compose
from verifier.doors.presentation import PresentationDoor
from verifier.http import Shown
from verifier.parts import GuardParts
from verifier.service import Verifier

HOPS: Final = 5  # credentials of the long chain
FIRST: Final = 100  # of each kind before anything is counted


@dataclass(slots=True)
class Memory:
    """Records and single-use values that are kept nowhere: what everything but the disk costs."""

    spent: set[str] = field(default_factory=set)
    event: AuditEvent | None = None

    async def record(self, event: AuditEvent) -> None:
        """See `AuditSink`."""
        self.event = event

    async def spend(self, _purpose: str, key: str, *, expires: datetime) -> bool:  # noqa: ARG002  # as its port has it
        """See `SpendOnce`."""
        fresh = key not in self.spent
        self.spent.add(key)
        return fresh


@dataclass(frozen=True, slots=True)
class Chains:
    """One credential, and one handed on until there are five; each with the key of who holds it."""

    one: tuple[list[dict[str, Any]], SigningKey]
    five: tuple[list[dict[str, Any]], SigningKey]

    def agents(self) -> list[str]:
        """Return whom the credentials speak of."""
        return [document["credentialSubject"]["id"] for document in self.five[0]]


def measure(bridge: Bridge, *, rounds: int, count: int) -> dict[str, Any]:
    """Return µs of each kind of decision: medians over the rounds of the median within one."""
    return asyncio.run(_measure(bridge, rounds, count))


async def _measure(bridge: Bridge, rounds: int, count: int) -> dict[str, Any]:
    chains = await _chains(bridge)
    with tempfile.TemporaryDirectory(dir=bridge.folder) as name:
        folder = settled(Path(name), bridge)
        parts = compose(resource=RESOURCE, bridge=bridge.url, data=folder, trusted_issuers=[str(bridge.root["issuer"])])
        async with parts.running():
            memory = Memory()
            light = replace(parts.verifier, audit=memory, replay=memory)
            found: dict[str, list[float]] = {}
            for number in range(rounds + 1):
                print(f"\rdecisions: round {number} of {rounds}", end="", file=sys.stderr, flush=True)
                for kind, value in (await _round(bridge, parts, light, chains, count if number else FIRST)).items():
                    found.setdefault(kind, [])
                    if number:  # the first warms everything up
                        found[kind].append(value)
            print(file=sys.stderr)
        parts.spool.close()
    micros = {kind: median(values) for kind, values in found.items()}
    bare = micros["bare Ed25519 verification"]
    return {kind: {"us": value, "of_bare": value / bare} for kind, value in micros.items()}


async def _round(bridge: Bridge, parts: GuardParts, light: Verifier, chains: Chains, count: int) -> dict[str, float]:
    """Measure everything once."""
    heavy = parts.verifier
    answers = await bodies(bridge.ports[0], bridge.prepare("cc", count))
    tokens = [str(json.loads(one)["access_token"]) for one in answers]
    door = next(one for one in heavy.doors if isinstance(one, PresentationDoor))

    def forget() -> None:
        door.known.forget(*chains.agents())

    found = {"bare Ed25519 verification": await _timed(_bare(tokens[0]), [""] * count)}
    with tempfile.TemporaryFile(dir=bridge.folder) as file:
        found["bare sync of this disk"] = await _timed(_synced(file.fileno()), [""] * count)
    for where, verifier in (("", light), (", on disk", heavy)):
        decided = _decided(verifier)
        if verifier is light:
            found["admission of a JWT first seen"] = await _timed(_admitted(replace(light)), tokens)
        found[f"JWT first seen{where}"] = await _timed(decided, tokens)
        found[f"JWT seen before{where}"] = await _timed(decided, [tokens[0]] * count)
        for name, (documents, key) in (("one credential", chains.one), ("five credentials", chains.five)):
            shown = [_presented(documents, key) for _ in range(count)]
            found[f"VP of {name}, cold{where}"] = await _timed(decided, shown, forget)
            shown = [_presented(documents, key) for _ in range(count)]
            found[f"VP of {name}, cached{where}"] = await _timed(decided, shown)
    return found


Work = Callable[[str], Awaitable[object]]


async def _timed(work: Work, shown: Sequence[str], before: Callable[[], None] | None = None) -> float:
    gc.collect()
    walls: list[int] = []
    for one in shown:
        if before is not None:
            before()
        begun = time.perf_counter_ns()
        await work(one)
        walls.append(time.perf_counter_ns() - begun)
    return median(walls) / 1_000


def _admitted(verifier: Verifier) -> Work:
    # A verifier without memory of texts: what is shown was seen in the last round.
    fresh = replace(verifier, known=type(verifier.known)())
    return lambda shown: fresh.admit(_as_shown(shown))


def _decided(verifier: Verifier) -> Work:
    fresh = replace(verifier, known=type(verifier.known)())

    async def decide(shown: str) -> None:
        admission = await fresh.admit(_as_shown(shown))
        decision = await fresh.decide(admission, tool="list_menu", arguments={}, request_id="benchmark")
        if not decision.allowed:
            raise RuntimeError(decision.explanation)

    return decide


def _as_shown(credential: str) -> Shown:
    return Shown(scheme="bearer", credential=credential, method="POST", url=RESOURCE)


def _bare(token: str) -> Work:
    message, _, signature = token.rpartition(".")
    key = VerifyKey(_issuer_key(token))
    sent, signed = message.encode(), base64url.decode(signature)

    async def verify(_shown: str) -> None:
        key.verify(sent, signed)

    return verify


def _synced(descriptor: int) -> Work:
    os.pwrite(descriptor, b"\0" * 1_048_576, 0)
    os.fsync(descriptor)

    async def sync(_shown: str) -> None:
        os.pwrite(descriptor, b"event" * 200, 0)  # into what is there, as the journal does
        os.fdatasync(descriptor)

    return sync


_keys: dict[str, bytes] = {}


def _issuer_key(token: str) -> bytes:
    return _keys[json.loads(base64url.decode(token.split(".", maxsplit=1)[0]))["kid"]]


async def _chains(bridge: Bridge) -> Chains:
    document = await issued(bridge, _keys)
    keys = [bridge.keys[0], *(SigningKey.generate() for _ in range(HOPS - 1))]
    chain: list[dict[str, Any]] = [document]
    now = system_clock().replace(microsecond=0)
    for giver, taker in pairwise(keys):
        parent: Mapping[str, Any] = chain[0]
        child = attenuate(
            parent,
            key=giver,
            subject=did_key(taker.public),
            capabilities=[parse_capability(one) for one in parent["credentialSubject"]["capability"]],
            valid_until=min(now + timedelta(minutes=30), parse_timestamp(parent["validUntil"])),
            now=now,
        )
        chain.insert(0, child)
    return Chains(one=([document], keys[0]), five=(chain, keys[-1]))


def _presented(documents: list[dict[str, Any]], key: SigningKey) -> str:
    return present_jwt(documents, key=key, audience=RESOURCE, now=system_clock())


TARGETS: Final = {
    "JWT first seen": "1.6 x bare",
    "JWT seen before": "15 us",
    "VP of one credential, cold": "350 us",
    "VP of five credentials, cold": "1,000 us",
    "VP of five credentials, cached": "150 us",
}


def show(found: Mapping[str, Any]) -> None:
    """Print a table."""
    print("\nAdmission and decision in process                    us   x bare   target")
    for kind, one in found.items():
        print(f"{kind:44}{one['us']:11.1f}{one['of_bare']:9.2f}   {TARGETS.get(kind, '')}")
