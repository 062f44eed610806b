"""The policy in force: compiled once a version, checked by its number alone in every request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bridge.model.policy import PolicyVersion
from bridge.ports import policy as ports
from did_agent.errors import Malformed, PolicyUnavailable
from did_agent.policy.active import NO_POLICY, ActivePolicy, activate
from did_agent.policy.document import PolicyDocument, parse_policy
from did_agent.policy.rules import RuleLanguage


@dataclass(slots=True, kw_only=True)
class PolicyInForce:
    """Knows the newest published policy."""

    language: RuleLanguage
    _active: ActivePolicy = field(default=NO_POLICY, init=False, repr=False)

    async def current(self, work: ports.Policies) -> ActivePolicy:
        """Return the policy that counts now.

        Raises: PolicyUnavailable when it cannot be compiled here, which denies.
        """
        version = await work.policy_version()
        if version != self._active.version:
            found = await work.policy(version)
            self._active = NO_POLICY if found is None else self._compiled(found)
        return self._active

    def activated(self, document: PolicyDocument, *, version: int) -> ActivePolicy:
        """Return a document ready to answer.

        Raises: BadPolicy, PolicyUnavailable.
        """
        rules = self.language.compile(document.rules) if document.rules else None
        return activate(document, version=version, rules=rules)

    def _compiled(self, found: PolicyVersion) -> ActivePolicy:
        wire: Any = dict(found.document)
        try:
            return self.activated(parse_policy(wire), version=found.record.version)
        except Malformed as error:
            raise PolicyUnavailable(f"policy {found.record.version}: {error.detail}") from error
