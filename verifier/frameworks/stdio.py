"""`did_agent_stdio`: guards a server that speaks over standard input and output; its caller is in the environment.

MCP has no authorization there: whoever starts the server hands it a credential (MCP 2026-07-28, authorization, 1).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Unpack

from did_agent.errors import DidAgentError, Expired, NotAuthenticated
from verifier.composition import compose
from verifier.frameworks.mcp_sdk_calls import Screen, ToolGuard
from verifier.http import bearer_alone
from verifier.identifiers import fresh_uuid
from verifier.model import Admission
from verifier.parts import GuardParts
from verifier.settings import GuardOptions

VARIABLE: Final = "MCP_AGENT_TOKEN"  # a token or a presentation; with _FILE the file that holds it
MAX_FILE: Final = 65_536  # bytes


class FromEnvironment:
    """The caller of a process: admitted once, held against revocation at each call, and again when it expired."""

    def __init__(self, parts: GuardParts, environment: Mapping[str, str]) -> None:
        self._parts, self._environment = parts, environment
        self._admission: Admission | None = None

    async def __call__(self) -> Admission:
        """Return who the process acts for.

        Raises: NotAuthenticated, VerificationError, Unavailable.
        """
        await self._parts.ensure_running()
        verifier = self._parts.verifier
        known = self._admission
        try:
            if known is None or verifier.clock() >= known.valid_until:
                self._admission = known = await verifier.admit(bearer_alone(self._credential()))
            else:
                await verifier.revocations.require_live(known.revocable_ids, verifier.clock())
        except DidAgentError as error:
            await verifier.refuse(error, action="resource.access", request_id=fresh_uuid())
            raise
        if verifier.clock() >= known.valid_until:
            raise Expired("the credential in the environment has expired")
        return known

    def _credential(self) -> str:
        file = self._environment.get(f"{VARIABLE}_FILE")
        if file is None:
            shown = self._environment.get(VARIABLE, "")
        else:
            try:
                with Path(file).open("rb") as opened:
                    shown = opened.read(MAX_FILE).decode("ascii")
            except (OSError, ValueError) as error:
                raise NotAuthenticated(f"{VARIABLE}_FILE cannot be read: {type(error).__name__}") from error
        if not shown.strip():
            raise NotAuthenticated(f"{VARIABLE} is not set")
        return shown.strip()


def did_agent_stdio(*, resource: str, bridge: str | None = None, **options: Unpack[GuardOptions]) -> dict[str, Any]:
    """Return keyword arguments for `MCPServer`: `MCPServer("x", **did_agent_stdio(resource=…, bridge=…)).run()`.

    The options are those of `protect`.  Raises: Misconfigured.
    """
    parts = compose(resource=resource, bridge=bridge, **options)
    admitted = FromEnvironment(parts, os.environ)
    return {"extensions": [ToolGuard(parts, admitted)], "middleware": [Screen(parts, admitted)]}
