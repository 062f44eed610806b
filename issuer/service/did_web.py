"""DID documents under our own name: the organisation's, and those of agents whose owner wants one published."""

from __future__ import annotations

from dataclasses import dataclass

from did_agent.errors import NotFound
from issuer.access import require_within
from issuer.did_documents import agent_document, agent_id_of, domain_linkage, issuer_document, slug_of, web_did
from issuer.model import HOME, Operator
from issuer.service.office import Office


@dataclass(frozen=True, slots=True, kw_only=True)
class DIDDocuments:
    """What did:web shows."""

    office: Office

    def issuer(self) -> dict[str, object]:
        """Return the document of the deployment's own organisation.  Raises: NotFound."""
        return issuer_document(self.office.url, [key.did for key in self.office.ring.believed(HOME)])

    def linkage(self) -> dict[str, object]:
        """Return the statement that our DID and our domain belong together."""
        return domain_linkage(self.office.url, self.office.key_of(HOME), now=self.office.clock())

    async def agent(self, slug: str) -> dict[str, object]:
        """Return the document of an agent, if it is published.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            agent = await work.agent(agent_id_of(slug), organisation=None, hold=False)
            if agent is None or slug_of(agent.agent_id) != slug or not await work.has_did_web(agent.agent_id):
                raise NotFound("there is no such agent")
        return agent_document(self.office.url, agent)

    async def publish(self, identifier: str, *, by: Operator) -> str:
        """Publish an agent's document from now on and return its did:web.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            agent = require_within(by, await work.agent(identifier, organisation=by.organisation))
            did = web_did(self.office.url, "agents", slug_of(agent.agent_id))
            await work.publish_did_web(agent.agent_id, organisation=by.organisation, now=self.office.clock())
            await work.record(self.office.event(by, "did_web.publish", agent.agent_id, f"{agent.name} is {did}"))
        self.office.news.wake_audit()
        return did

    async def withdraw(self, identifier: str, *, by: Operator) -> None:
        """Publish an agent's document no more.

        Raises: NotFound, StoreUnavailable.
        """
        async with self.office.store.work() as work:
            agent = require_within(by, await work.agent(identifier, organisation=by.organisation))
            if not await work.withdraw_did_web(agent.agent_id, organisation=by.organisation):
                raise NotFound("the agent's document is not published")
            await work.record(self.office.event(by, "did_web.withdraw", agent.agent_id, f"{agent.name} has none"))
        self.office.news.wake_audit()
