"""Agents that ask for themselves: believed by their key, each proof once."""

from __future__ import annotations

from dataclasses import dataclass

from did_agent.errors import AgentNotActive, Replayed, UnknownAgent, WrongChallenge
from issuer.model import Operator
from issuer.possession import PURPOSE, prove_agent
from issuer.service.office import Office


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCallers:
    """Tells which agent asks."""

    office: Office

    async def agent(self, token: str, *, request_id: str) -> Operator:
        """Return the active agent whose key made `token`.

        Raises: Malformed, VerificationError, WrongChallenge, UnknownAgent, AgentNotActive, Replayed, StoreUnavailable.
        """
        proven = prove_agent(token, issuer_url=self.office.url, now=self.office.clock())
        if proven.challenge is not None:  # it was made to answer something else
            raise WrongChallenge("a caller proves its key without an answer to anybody")
        async with self.office.store.work() as work:
            agent = await work.agent(proven.holder, organisation=None)
            if agent is None:
                raise UnknownAgent("the agent is not in the registry")
            if agent.state != "active":
                raise AgentNotActive(f"{agent.name} is {agent.state}")
            if not await work.spend(PURPOSE, proven.replay_key, expires=proven.replay_until):
                raise Replayed("this proof was shown before")
        return Operator(
            request_id=request_id,
            organisation=agent.organisation,
            roles=frozenset({"agent"}),
            principal=proven.holder,
            kind="agent",
            client_id=proven.holder,
        )
