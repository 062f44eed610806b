"""How rights combine: may the user, may the agent, and what the two answers make together (security standard, 3.1).

`intersection`: what both may.  `subset`: of that, what the user ticked, and nothing where nobody was asked.
`agent_only`: what the agent may, on its own.  `union`: what either may; never where authority was handed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from did_agent.errors import EmptyGrant

PolicyMode = Literal["intersection", "subset", "agent_only", "union"]
Scopes = frozenset[str]

MODES: Final[tuple[PolicyMode, ...]] = ("intersection", "subset", "agent_only", "union")
CONSENT: Final = "consent"
PREVIOUS: Final = "previous token"  # of an earlier hop; what it may was ticked, if anything had to be
MAX_SAID: Final = 12  # scopes an explanation names one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a request for rights at one resource is decided from."""

    requested: Scopes | None = None  # None: whatever is allowed
    limits: Mapping[str, Scopes] = field(default_factory=dict)  # resource, consent, previous token: all of them bind
    user: Scopes | None  # None: nobody is behind the agent
    agent: Scopes | None  # None: no agent acts, only a program the user runs
    is_chain: bool = True  # whether authority was handed on from agent to agent; the strict answer where unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """What is granted, the mode that was applied, and both partial answers, whichever of them decided."""

    mode: PolicyMode
    granted: Scopes
    terms: Terms

    @property
    def explanation(self) -> str:
        """Both answers in a sentence for people."""
        return explain(self.terms)


def combine(mode: PolicyMode, terms: Terms, *, autonomous: bool = True) -> Combination:
    """Return what `terms` leave under the mode of the resource; `autonomous`: it takes agents without a user.

    Raises: EmptyGrant naming the term that left nothing, with both partial answers.
    """
    applied = applied_mode(mode, terms)
    limits = dict(terms.limits)
    bar = barred(mode, terms, autonomous=autonomous)
    if bar is not None:
        limits[bar] = frozenset()
    if applied == "union":
        limits["user or agent"] = (terms.user or frozenset()) | (terms.agent or frozenset())
    else:
        limits |= {name: held for name, held in (("agent", terms.agent), ("user", terms.user)) if held is not None}
    return Combination(mode=applied, granted=_meet(applied, terms, limits), terms=terms)


def applied_mode(mode: PolicyMode, terms: Terms) -> PolicyMode:
    """Return the mode that counts for `terms` at a resource of `mode`."""
    if terms.user is None:
        return "agent_only"
    if mode == "union" and (terms.is_chain or terms.agent is None):
        return "intersection"
    return mode


def barred(mode: PolicyMode, terms: Terms, *, autonomous: bool) -> str | None:
    """Return why the resource takes nobody of this kind, whatever they may; None when it does."""
    if terms.user is None:
        return None if autonomous else "user (the resource takes no agent on its own)"
    if mode == "agent_only":
        return "user (the resource takes agents on their own alone)"
    if mode == "subset" and not terms.limits.keys() & {CONSENT, PREVIOUS}:
        return "consent (nobody was asked, and the resource demands it)"
    return None


def grant(requested: Scopes | None, *, limits: Mapping[str, Scopes]) -> Scopes:
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


def answers(terms: Terms) -> dict[str, str]:
    """Return both partial answers in the words of audit events, within what was asked for."""
    return {
        "user_may": _said(terms, terms.user, nobody="not asked: the agent acts on its own"),
        "agent_may": _said(terms, terms.agent, nobody="not asked: no agent acts"),
    }


def explain(terms: Terms) -> str:
    """Return the partial answers as one sentence."""
    found = answers(terms)
    return f"may the user: {found['user_may']}; may the agent: {found['agent_may']}"


def _meet(mode: PolicyMode, terms: Terms, limits: Mapping[str, Scopes]) -> Scopes:
    try:
        return grant(terms.requested, limits=limits)
    except EmptyGrant as error:
        raise EmptyGrant(error.detail, facts={"mode": mode, **answers(terms)}, terms=terms) from error


def _said(terms: Terms, held: Scopes | None, *, nobody: str) -> str:
    if held is None:
        return nobody
    asked = held
    for bound in (terms.requested, terms.limits.get("resource")):
        asked = asked if bound is None else asked & bound
    named = sorted(asked)
    more = f" and {len(named) - MAX_SAID} more" if len(named) > MAX_SAID else ""
    return " ".join(named[:MAX_SAID]) + more or "nothing"
