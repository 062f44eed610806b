"""The decision: may the user, may the agent, and was it granted; pure, and never without its explanation.

Two partial answers are always both worked out (security standard, 3.1): `intersection` when there is a user,
`agent_only` when an agent acts on its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from did_agent.credential.capability import Capability, tool_scope
from did_agent.errors import EmptyGrant
from did_agent.policy.caller import VerifiedCaller

PolicyMode = Literal["intersection", "agent_only"]
TermName = Literal["user", "agent", "scope"]

POLICY_VERSION: Final = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is asked for."""

    resource: str
    tool: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One partial answer."""

    name: TermName
    allowed: bool
    reason: str  # code when not allowed
    why: str  # half a sentence for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Policy's answer: allowed only when every term is."""

    allowed: bool
    reason: str
    explanation: str
    terms: tuple[Term, ...]
    mode: PolicyMode
    covering: tuple[Capability, ...] = ()  # that cover the call, those without limits first; empty when refused

    @property
    def policy(self) -> str:
        """Mode and version, as audit events carry them."""
        return f"{self.mode}/{POLICY_VERSION}"


def decide(caller: VerifiedCaller, call: Call) -> Decision:
    """Return whether `caller` may make `call`, and why; the first empty term gives the reason."""
    mode: PolicyMode = "intersection" if caller.principal.kind == "user" else "agent_only"
    terms = [_agent_term(caller, call)]
    if mode == "intersection":
        terms.append(_user_term(caller, call))
    terms.append(_scope_term(caller, call))
    empty = next((term for term in terms if not term.allowed), None)
    return Decision(
        allowed=empty is None,
        reason="allowed" if empty is None else empty.reason,
        explanation="; ".join(term.why for term in terms),
        terms=tuple(terms),
        mode=mode,
        covering=() if empty is not None else _covering(caller, call),
    )


def is_visible(caller: VerifiedCaller, *, resource: str, tool: str) -> bool:
    """Say whether a list of tools should show `tool` to `caller`: some call of it could be allowed."""
    named = any(resource in held.resources and tool in held.tools for held in caller.capabilities)
    entitled = caller.principal.kind != "user" or tool_scope(tool) in (caller.entitlements or frozenset())
    return named and entitled and tool_scope(tool) in caller.scopes


def grant(requested: frozenset[str] | None, *, limits: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return the scopes that every limit allows; without a request, all that are left (DEL-04).

    `limits` names each term (user, agent, resource, previous token) and what it allows.
    Raises: EmptyGrant, whose detail names the term that left nothing.
    """
    granted = requested
    for name, allowed in limits.items():
        granted = allowed if granted is None else granted & allowed
        if not granted:
            raise EmptyGrant(f"nothing is left after the rights of the {name}")
    if not granted:
        raise EmptyGrant("nothing was requested")
    return granted


def short_did(identifier: str) -> str:
    """Return a DID in the short form people can compare; other identifiers as they are."""
    return f"{identifier[:13]}…{identifier[-4:]}" if identifier.startswith("did:") else identifier


def _agent_term(caller: VerifiedCaller, call: Call) -> Term:
    is_program = caller.principal.kind == "user" and not caller.actors  # a user at a program, without an agent
    who = f"the application {caller.client_id}" if is_program else f"the agent {short_did(caller.agent)}"
    naming = [held for held in caller.capabilities if call.resource in held.resources and call.tool in held.tools]
    covering = [held for held in naming if held.covers(call.tool, call.arguments)]
    if not naming:
        return _no("agent", "agent_not_capable", f"{who} may not call {call.tool}: no capability covers it")
    if not covering:
        return _no("agent", "arguments_refused", f"{who} may call {call.tool}, but not with these arguments")
    if not any(_is_enforceable(held) for held in covering):
        why = f"{who} may call {call.tool} only within limits, which cannot be counted here"
        return _no("agent", "limit_not_enforceable", why)
    return Term(name="agent", allowed=True, reason="allowed", why=f"{who} may call {call.tool}")


def _covering(caller: VerifiedCaller, call: Call) -> tuple[Capability, ...]:
    found = [
        held
        for held in caller.capabilities
        if call.resource in held.resources and held.covers(call.tool, call.arguments)
    ]
    return tuple(sorted(found, key=lambda held: held.limits is not None))


def _user_term(caller: VerifiedCaller, call: Call) -> Term:
    who = f"user {caller.principal.id}"
    if tool_scope(call.tool) not in (caller.entitlements or frozenset()):
        return _no("user", "user_not_entitled", f"{who} may not")
    return Term(name="user", allowed=True, reason="allowed", why=f"{who} may")


def _scope_term(caller: VerifiedCaller, call: Call) -> Term:
    scope = tool_scope(call.tool)
    if scope not in caller.scopes:
        return _no("scope", "scope_not_granted", f"{scope} was not granted")
    return Term(name="scope", allowed=True, reason="allowed", why=f"{scope} was granted")


def _no(name: TermName, reason: str, why: str) -> Term:
    return Term(name=name, allowed=False, reason=reason, why=why)


def _is_enforceable(capability: Capability) -> bool:
    # A ceiling nobody counts is no ceiling: until limits are spent, a capability that has them is refused.
    return capability.limits is None
