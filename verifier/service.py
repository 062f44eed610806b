"""Admit, decide, record: the one pipeline behind every guard, whatever form of credential was shown."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from did_agent.clock import Clock
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.errors import BadDPoPProof, BadJOSE, DidAgentError, InsufficientScope, WrongType
from did_agent.policy.decide import Call, Decision, decide, visible_tools
from did_agent.ports import SpendOnce
from did_agent.proof.jose import MAX_TOKEN, parse_compact
from verifier.descoping import NoRisks
from verifier.doors.known import KnownTexts
from verifier.gates import Asked, Gate
from verifier.http import Shown
from verifier.model import Admission, Entry, SingleUse
from verifier.policies import NoPolicies
from verifier.ports import AuditSink, Door, PolicySource, Revocations, Risks
from verifier.recording import Recorder, Verdict

_log: Final = logging.getLogger("did_agent.guard")
_DOTS = 2  # of a compact JWS; what has another number of them is opaque to us


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """Guards one resource.  Methods raise on refusal; there is no third outcome."""

    resource: str  # our identifier, the exact `aud`
    source: str  # DID of the party that decides, for the record
    party: str
    doors: Sequence[Door]  # the first that opens for what was shown is the only one asked
    revocations: Revocations
    policies: PolicySource = field(default_factory=NoPolicies)
    risks: Risks = field(default_factory=NoRisks)
    audit: AuditSink
    clock: Clock
    replay: SpendOnce | None = None  # where single-use values are spent; without it none is accepted
    gates: Sequence[Gate] = ()  # asked in order when policy allows
    limits: Gate | None = None  # counts limits, after all gates: what it spent none may refuse; without it none count
    is_pressed: Callable[[], bool] = bool  # whether room for events is scarce
    known: KnownTexts = field(default_factory=KnownTexts)
    recorder: Recorder = field(init=False, repr=False)
    _gates: Sequence[Gate] = field(init=False, repr=False)  # all of them, what spends last

    def __post_init__(self) -> None:
        """Join what is needed to record."""
        recorder = Recorder(
            resource=self.resource,
            source=self.source,
            party=self.party,
            audit=self.audit,
            clock=self.clock,
            is_pressed=self.is_pressed,
        )
        object.__setattr__(self, "recorder", recorder)
        object.__setattr__(self, "_gates", (*self.gates, *(() if self.limits is None else (self.limits,))))

    async def admit(self, shown: Shown) -> Admission:
        """Return who shows a credential; what it is alone picks the door (TOK-08).

        Raises: Malformed, VerificationError, Unavailable.
        """
        now = self.clock()
        entry = await self._enter(shown, now)
        await self.revocations.require_live(entry.admission.revocable_ids, now)
        await self.policies.ready()
        for once in entry.single_use:
            await self._spend(once)
        return entry.admission

    async def decide(
        self, admission: Admission, *, tool: str, arguments: Mapping[str, object], request_id: str
    ) -> Decision:
        """Return the decision on one call, recorded before it is returned.

        Raises: Unavailable, BadEncoding when the arguments have no canonical form.
        """
        digest = digest_uri(canonicalize(arguments))
        asked = Asked(
            admission=admission,
            call=Call(resource=self.resource, tool=tool, arguments=arguments),
            request_id=request_id,
            now=self.clock(),
        )
        try:
            decision = await self._judge(asked)
        except DidAgentError as error:
            await self.undo(request_id, happened=False)  # one gate could not tell; what others consumed was not used
            verdict = Verdict(allowed=False, reason=error.code, explanation=error.public)
            await self.recorder.call(asked, digest, verdict)
            raise
        try:
            await self.recorder.call(asked, digest, _verdict(decision, asked.now))
        except BaseException:
            # What is not recorded, or was given up meanwhile, does not happen, so it costs nothing either.
            await asyncio.shield(self.undo(request_id, happened=False))
            raise
        return decision

    def visible_tools(self, admission: Admission) -> frozenset[str]:
        """Return the tools that a list should show to somebody: those of which some call could be allowed.

        Raises: PolicyUnavailable.
        """
        now = self.clock()
        return visible_tools(admission.caller, resource=self.resource, policy=self.policies.current(now), now=now)

    async def undo(self, request_id: str, *, happened: bool = True) -> None:
        """Take back what an allowed call consumed: it was not done, or it `happened` and failed."""
        for gate in self._gates:
            try:
                await gate.undo(request_id, happened=happened)
            except DidAgentError as error:
                # The others' can still be given back; this one stays spent, which is the safe side.
                _log.warning("what a call consumed could not be given back: %s", error.code)

    async def refuse(self, error: DidAgentError, *, action: str, request_id: str) -> None:
        """Record that nobody was admitted.

        Raises: AuditUnavailable.
        """
        await self.recorder.refusal(error, action=action, request_id=request_id)

    async def record(
        self, admission: Admission, *, action: str, allowed: bool, reason: str, explanation: str, request_id: str
    ) -> None:
        """Record an admitted caller's action that is not a tool call.

        Raises: AuditUnavailable.
        """
        verdict = Verdict(allowed=allowed, reason=reason, explanation=explanation)
        await self.recorder.action(admission, action, verdict, request_id=request_id)

    async def _judge(self, asked: Asked) -> Decision:
        decision = decide(
            asked.admission.caller,
            asked.call,
            policy=self.policies.current(asked.now),
            now=asked.now,
            limits_are_counted=self.limits is not None,
            risk=self.risks.risk_of(asked.admission.caller, asked.now) or None,
        )
        passed: list[Gate] = []
        for gate in self._gates:
            if not decision.allowed:
                break
            decision = await gate.judge(asked, decision)
            if not decision.allowed:
                # What earlier gates consumed for a call that a later one refuses was not used.
                for earlier in passed:
                    await earlier.undo(asked.request_id, happened=False)
            passed.append(gate)
        return decision

    async def _enter(self, shown: Shown, now: datetime) -> Entry:
        known = self.known.find(shown.credential)
        if known is not None:
            return await known(shown, now)
        jws = parse_compact(shown.credential, max_bytes=MAX_TOKEN) if shown.credential.count(".") == _DOTS else None
        for door in self.doors:
            if door.opens(shown, jws):
                entry = await door.admit(shown, jws, now)
                if entry.again is not None:
                    self.known.remember(shown.credential, entry.again)
                return entry
        if jws is None:
            raise BadJOSE("not a compact JWS, and nobody can be asked what it means")
        raise WrongType("no credential of a form that is accepted here")

    async def _spend(self, once: SingleUse) -> None:
        if self.replay is None:
            raise BadDPoPProof("single-use values cannot be spent here")
        fresh = await self.replay.spend(once.purpose, once.key, expires=once.expires)
        if not fresh and once.refusal is not None:
            raise once.refusal("it was shown before")


def _verdict(decision: Decision, now: datetime) -> Verdict:
    return Verdict(
        allowed=decision.allowed,
        reason=decision.reason,
        explanation=decision.explanation,
        policy=decision.policy,
        details=decision.details(now),
    )


def require_scope(admission: Admission, scope: str) -> None:
    """Return when the caller was granted `scope`.

    Raises: InsufficientScope.
    """
    if scope not in admission.caller.scopes:
        raise InsufficientScope(f"{scope} is needed")
