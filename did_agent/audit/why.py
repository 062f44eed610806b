"""Why something was allowed or refused, step by step: what held, what failed, and what to do (AUD-02).

Pure.  `explain_event` reads the record of a decision; what is shown now is judged by `did_agent.client.why` with the
code of the doors, and told in the same steps, in the order in which a door takes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from did_agent.audit.personal import is_sealed
from did_agent.errors import DidAgentError
from did_agent.errors.remedies import remedy

Outcome = Literal["ok", "failed", "unknown", "not reached"]
Form = Literal["jwt", "vp"]

FORM: Final = "form"
ISSUER: Final = "issuer"
AUDIENCE: Final = "audience"
SIGNATURE: Final = "signature"
TIME: Final = "time"
SENDER: Final = "sender"
STATUS: Final = "status"
CHAIN: Final = "delegation"
AGENT: Final = "rights of the agent"
ARGUMENTS: Final = "arguments"
USER: Final = "rights of the person"
SCOPE: Final = "scope"
RULES: Final = "policy"
TOOL: Final = "approved tool"
SESSION: Final = "session"
LIMITS: Final = "limits"
CONSENT: Final = "consent"
DECISION: Final = "decision"

# In the order in which each door looks.
ADMISSION: Final[Mapping[Form, tuple[str, ...]]] = {
    "jwt": (FORM, ISSUER, AUDIENCE, SIGNATURE, TIME, SENDER, STATUS, CHAIN),
    "vp": (FORM, AUDIENCE, SIGNATURE, TIME, SENDER, ISSUER, CHAIN, STATUS),
}
RIGHTS: Final = (AGENT, ARGUMENTS, USER, SCOPE, RULES)
GATES: Final = (TOOL, SESSION, LIMITS)

_CODES: Final[Mapping[str, str]] = {
    SIGNATURE: "bad_signature wrong_algorithm wrong_key wrong_purpose keys_unavailable",
    ISSUER: "issuer_not_trusted wrong_issuer",
    AUDIENCE: "wrong_audience unknown_resource wrong_host",
    TIME: "expired not_yet_valid",
    SENDER: "sender_not_proven invalid_dpop_proof use_dpop_nonce wrong_challenge replayed client_not_authenticated"
    " unauthorized_client invalid_proof invalid_nonce",
    STATUS: "revoked suspended status_unavailable status_not_verified status_list_too_short agent_not_active"
    " unknown_agent task_completed no_longer_admitted bad_grant status_index_out_of_range",
    CHAIN: "chain_broken not_attenuated depth_exceeded holder_mismatch delegation_not_evidenced actor_mismatch",
    AGENT: "agent_not_capable",
    ARGUMENTS: "arguments_refused",
    USER: "user_not_entitled",
    SCOPE: "scope_not_granted insufficient_scope empty_grant details_refused",
    RULES: "mode_refused refused_by_rules rule_failed actor_unauthorized policy_stale policy_unavailable"
    " method_not_allowed",
    TOOL: "tool_changed tool_not_approved",
    SESSION: "session_unknown descoped",
    LIMITS: "limit_reached limit_not_enforceable quota_exceeded too_many_pending",
    CONSENT: "consent_denied authorization_pending slow_down request_expired",
}
STEP_OF: Final[Mapping[str, str]] = {code: step for step, codes in _CODES.items() for code in codes.split()}
_DECIDED: Final = frozenset((*RIGHTS, *GATES, CONSENT))
_NOTHING: Final = "nothing"
_UNASKED: Final = "not asked"
_CALLS: Final = frozenset({"tool.call", "token.issue", "resource.access", "tools.list"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a verdict."""

    name: str
    outcome: Outcome
    what: str = ""
    do: str = ""  # only where it failed, or could not be told

    def to_json(self) -> dict[str, str]:
        """Return the step for a wire."""
        return {"step": self.name, "outcome": self.outcome, "what": self.what, "do": self.do}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A verdict and the steps that lead to it."""

    kind: Literal["event", "token", "presentation"]
    title: str  # who did what
    allowed: bool | None  # None: nothing was asked of it, or it cannot be told
    steps: tuple[Step, ...]
    facts: Mapping[str, str] = field(default_factory=dict)  # ids to go on with

    @property
    def failure(self) -> Step | None:
        """The first step that failed."""
        return next((step for step in self.steps if step.outcome == "failed"), None)

    def to_json(self) -> dict[str, Any]:
        """Return the explanation for a wire."""
        told: dict[str, Any] = {"kind": self.kind, "title": self.title, "allowed": self.allowed}
        return {**told, "steps": [step.to_json() for step in self.steps], "facts": dict(self.facts)}


def step_of(code: str) -> str:
    """Return the step at which a reason arises; what could not be read fails by its form."""
    return STEP_OF.get(code, FORM)


def failed(error: DidAgentError, *, name: str | None = None) -> Step:
    """Return the step that an error ends."""
    what = error.detail or error.public
    outcome: Outcome = "failed"
    return Step(name=name or step_of(error.code), outcome=outcome, what=f"{error.code}: {what}", do=remedy(error.code))


def in_order(order: Sequence[str], found: Sequence[Step], *, before: Outcome = "ok") -> tuple[Step, ...]:
    """Return every step of an order: those found, `before` for what lies before a failure, not reached behind it."""
    known = {step.name: step for step in found}
    ends = next((at for at, name in enumerate(order) if name in known and known[name].outcome == "failed"), len(order))
    rest = [Step(name=name, outcome=before if at < ends else "not reached") for at, name in enumerate(order)]
    return tuple(known.get(name, rest[at]) for at, name in enumerate(order))


# ---- what was recorded


def explain_event(event: Mapping[str, Any]) -> Explanation:
    """Return why a decision came out as it did, from its audit event as the ledger shows it."""
    allowed = event["decision"] == "allow"
    facts = {name: str(event[name]) for name in ("id", "request_id", "token_id", "evidence", "time") if event[name]}
    steps = tuple(_steps(event, allowed=allowed))
    return Explanation(kind="event", title=sentence(event), allowed=allowed, steps=steps, facts=facts)


def sentence(event: Mapping[str, Any]) -> str:
    """Return who did what, as one sentence."""
    who = event["principal"] or "nobody that was believed"
    who = "a person whose data was erased" if is_sealed(who) else who
    through = f" through {' ◂ '.join(event['actors'])}" if event["actors"] else ""
    target = event["target"] if event["target"] and event["target"] != event["resource"] else ""
    at = f" at {event['resource']}" if event["resource"] else ""
    return " ".join(f"{who}{through}: {event['action']} {target}{at}: {event['decision']}".split())


def _steps(event: Mapping[str, Any], *, allowed: bool) -> Iterator[Step]:
    reason, at = str(event["reason"]), step_of(str(event["reason"]))
    if event["action"] not in _CALLS:
        yield _plain(event, allowed=allowed)
        return
    if not allowed and at not in _DECIDED:
        yield from _not_admitted(event, reason, at)
        return
    form: Form = "vp" if event["details"].get("form") == "vp" else "jwt"
    yield from in_order(ADMISSION[form], [_passed(name, event) for name in ADMISSION[form]])
    if event["action"] != "resource.access" or not allowed:
        yield from _decided(event, at, allowed=allowed)


def _plain(event: Mapping[str, Any], *, allowed: bool) -> Step:
    outcome: Outcome = "ok" if allowed else "failed"
    what = f"{event['reason']}: {event['explanation']}"
    return Step(name=DECISION, outcome=outcome, what=what, do="" if allowed else remedy(str(event["reason"])))


def _not_admitted(event: Mapping[str, Any], reason: str, at: str) -> Iterator[Step]:
    """Yield the steps of a refusal at the door: what was shown is not believed, so nothing of it is recorded."""
    what = f"{reason}: {event['explanation']}"
    ended = Step(name=at, outcome="failed", what=what, do=remedy(reason))
    for step in in_order(ADMISSION["jwt"], [ended], before="unknown"):
        unrecorded = "what was shown was refused, so its content was not recorded"
        yield Step(name=step.name, outcome="unknown", what=unrecorded) if step.outcome == "unknown" else step
    yield Step(name=RULES, outcome="not reached")


def _passed(name: str, event: Mapping[str, Any]) -> Step:
    told = {
        FORM: {"jwt": "an access token", "vp": "a presentation"}.get(event["details"].get("form", ""), ""),
        AUDIENCE: str(event["resource"] or ""),
        TIME: f"at {event['time']}",
        CHAIN: ", ".join(event["credential_ids"]),
        ISSUER: str(event["details"].get("issuer", "")),
    }
    return Step(name=name, outcome="ok", what=told.get(name, ""))


def _decided(event: Mapping[str, Any], at: str, *, allowed: bool) -> Iterator[Step]:
    details, reason = event["details"], str(event["reason"])
    verdicts = {name: _right(name, event, at, allowed=allowed) for name in RIGHTS}
    for name, step in verdicts.items():
        if name == RULES and step.outcome == "ok":
            rules = details.get("rules", "")
            said = " ".join(filter(None, (event["policy"], rules)))
            yield Step(name=RULES, outcome="ok", what=said)
        else:
            yield step
    order = GATES if event["action"] == "tool.call" else ()
    if at == CONSENT or (at in GATES and not order):
        order = (*order, at)
    if at in order:
        what = f"{reason}: {event['explanation']}"
        yield from in_order(order, [Step(name=at, outcome="failed", what=what, do=remedy(reason))])
        return
    for name in order:
        yield Step(name=name, outcome="ok" if allowed else "not reached")


def _right(name: str, event: Mapping[str, Any], at: str, *, allowed: bool) -> Step:
    """Return one of the partial answers: all of them were asked, whichever decided."""
    details, reason = event["details"], str(event["reason"])
    may = details.get({AGENT: "agent_may", USER: "user_may"}.get(name, ""), "")
    if name == at and not allowed:
        return Step(name=name, outcome="failed", what=f"{reason}: {event['explanation']}", do=remedy(reason))
    if not allowed and _is_no(name, may, event, at):
        do = remedy("agent_not_capable" if name == AGENT else "user_not_entitled")
        return Step(name=name, outcome="failed", what=f"may: {may}", do=do)
    if name == SCOPE and not allowed and f"tool:{event['target']} was not granted" in event["explanation"]:
        return Step(
            name=name, outcome="failed", what="the tool's scope was not granted", do=remedy("scope_not_granted")
        )
    return Step(name=name, outcome="ok", what=may)


def _is_no(name: str, may: str, event: Mapping[str, Any], at: str) -> bool:
    if not may or may.startswith(_UNASKED) or (name == AGENT and at in (ARGUMENTS, LIMITS)):
        return False
    return may == _NOTHING if event["action"] != "tool.call" else f"tool:{event['target']}" not in may.split()
