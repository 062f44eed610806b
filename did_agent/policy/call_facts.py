"""The facts of a call: what a verified caller asks for at a resource, in the words in which policy decides."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from did_agent.policy.active import ActivePolicy
from did_agent.policy.caller import VerifiedCaller
from did_agent.policy.combination import PREVIOUS, Scopes
from did_agent.policy.facts import Facts

SHOWN: Final = "shown credential"


def facts_of_call(  # each is a fact of its own
    policy: ActivePolicy,
    caller: VerifiedCaller,
    *,
    resource: str,
    asked: Scopes,
    held: Scopes,
    now: datetime,
    risk: int | None,
    arguments: Mapping[str, object] | None,
) -> Facts:
    """Return the facts of a call of the tools `asked`, of which the caller's capabilities cover `held`.

    What was shown binds in every mode: a union, too, lets nothing pass that no capability in it covers.
    """
    is_user = caller.principal.kind == "user"
    everyone = caller.actors if is_user else (*caller.actors, caller.principal.id)
    is_ours = not is_user or policy.issuer in (None, caller.principal.namespace)
    # A token of the bridge was cut when it was made: what it may was ticked, if anything had to be.
    limit = PREVIOUS if is_user and is_ours else SHOWN
    return Facts(
        resource=resource,
        time=now,
        user=_person(caller, is_ours=is_ours) if is_user else None,
        groups=caller.groups if is_user and is_ours else frozenset(),
        rights=(caller.entitlements or frozenset()) & asked if is_user else frozenset(),
        agent=everyone[0] if everyone else None,
        agent_tools=held if everyone else None,
        actors=everyone[1:],
        # Of somebody else's people nobody here can say how their rights reached the agent: the strict answer.
        chain=not is_ours,
        tools=asked,
        limits={limit: caller.scopes & held},
        client=caller.client_id,
        task=caller.task,
        risk=risk,
        arguments=arguments,
        arguments_held_back=True,
    )


def _person(caller: VerifiedCaller, *, is_ours: bool) -> str:
    # Roles, guards and rules name people of the bridge; another issuer's "smith" must match none of them (DEL-11).
    principal = caller.principal
    return principal.id if is_ours else f"{principal.id} at {principal.namespace}"
