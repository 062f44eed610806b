"""Writes receipts: what this guard says of a call it decided and of the result that came back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from did_agent.clock import Clock
from did_agent.did.key import did_key
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.keys.public import SigningKey
from did_agent.policy.decide import Decision
from did_agent.tokens.tool_receipt import ToolReceipt, result_digest, sign_tool_receipt
from verifier.model import Admission


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipts:
    """The pen of one guard."""

    resource: str
    key: SigningKey = field(repr=False)
    clock: Clock

    def write(  # each is one thing a receipt says
        self,
        admission: Admission,
        decision: Decision,
        *,
        tool: str,
        arguments: Mapping[str, object],
        request_id: str,
        result: Mapping[str, Any],
    ) -> str:
        """Return the signed receipt of one call.

        Raises: BadEncoding when the result has no canonical form.
        """
        caller = admission.caller
        receipt = ToolReceipt(
            id=uuid.uuid4().urn,
            issuer=did_key(self.key.public),
            audience=caller.client_id,
            issued_at=self.clock(),
            principal=caller.principal.id,
            principal_kind=caller.principal.kind,
            principal_namespace=caller.principal.namespace,
            actors=caller.actors,
            resource=self.resource,
            tool=tool,
            argument_digest=digest_uri(canonicalize(arguments)),
            result_digest=result_digest(result),
            is_error=result.get("isError") is True,
            decision="allow" if decision.allowed else "deny",
            policy=decision.policy,
            request_id=request_id,
            evidence=caller.evidence,
        )
        return sign_tool_receipt(receipt, key=self.key)
