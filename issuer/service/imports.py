"""Importing agents by the thousand: each row under the caller's own key, once, and each refused alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from did_agent.credential.issuance import new_id
from did_agent.encoding.digest import digest_uri
from did_agent.errors import DidAgentError, HolderMismatch, InvalidParameter
from did_agent.presentation.model import VerifiedPresentation
from issuer.access import own_alone
from issuer.description import require_agent, require_placed
from issuer.model import Agent, NewAgent, Operator
from issuer.model.registry import ImportRow, RowResult
from issuer.naming import require_text, skeleton
from issuer.ports import Work
from issuer.possession import PURPOSE, prove_agent
from issuer.principals import require_may_say
from issuer.service.office import Office


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A row as the caller has it."""

    key: str
    new: NewAgent
    template: str | None = None
    did: str | None = None
    proof: str | None = None  # a `vp+jwt` for this issuer, as an agent shows it to ask for itself


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    row: ImportRow
    proven: VerifiedPresentation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Imports:
    """Brings agents from elsewhere."""

    office: Office

    async def run(self, rows: Sequence[Listed], *, by: Operator) -> Sequence[RowResult]:
        """Register what is not there yet; a row that was imported before is told so and left alone.

        All of a batch is one transaction: an answer that never came is found out by asking again.
        Raises: StoreUnavailable.
        """
        now = self.office.clock()
        results: dict[str, RowResult] = {}
        async with self.office.store.work() as work:
            before = await work.known_imports(by.organisation, [row.key for row in rows])
            results |= {key: RowResult(key=key, outcome="exists", agent_id=known) for key, known in before.items()}
            given = await work.principal(by.principal or "", organisation=by.organisation)
            judged: list[_Judged] = []
            for row in rows:
                if row.key not in results:
                    try:
                        require_may_say([row.new.sponsor], given, by=by)
                        judged.append(self._judge(row, by=by, now=now))
                    except DidAgentError as error:
                        results[row.key] = refused(row.key, error)
            fit, others = await self._placed(work, judged, by=by)
            results |= others
            added = await work.import_agents([one.row for one in fit], by=by.principal or "")
            results |= {result.key: result for result in added}
            await self._record(work, rows, results, by=by)
        self.office.news.wake_audit()
        return [results[row.key] for row in rows]

    def _judge(self, row: Listed, *, by: Operator, now: datetime) -> _Judged:
        proven = None
        if row.proof is not None:
            proven = prove_agent(row.proof, issuer_url=self.office.url, now=now)
            if row.did not in (None, proven.holder):
                raise HolderMismatch("the proof was made by another key than that of the DID")
        elif row.did is not None:
            raise InvalidParameter("proof: a DID is taken with a proof of its key alone")
        new = row.new
        agent = Agent(
            organisation=by.organisation,
            agent_id=new_id(),
            name=new.name,
            sponsor=new.sponsor,
            owner=own_alone(by) or new.owner or by.principal or "",
            description=new.description,
            metadata=new.metadata,
            redirect_uris=new.redirect_uris,
            tags=tuple(sorted(set(new.tags))),
            groups=tuple(sorted(set(new.groups))),
            template=row.template,
            state="pending" if proven is None else "active",
            did=None if proven is None else proven.holder,
            created=now,
            changed=now,
        )
        require_placed(require_agent(agent), by=by)
        require_text("key", row.key)
        return _Judged(row=ImportRow(key=row.key, agent=agent, skeleton=skeleton(agent.name)), proven=proven)

    async def _placed(
        self, work: Work, judged: Sequence[_Judged], *, by: Operator
    ) -> tuple[Sequence[_Judged], Mapping[str, RowResult]]:
        """Return the rows whose groups and blueprint exist and whose proofs are fresh, and why others are not."""
        names = sorted({name for one in judged for name in one.row.agent.groups})
        groups = frozenset(await work.unknown_groups(names, organisation=by.organisation))
        asked = {one.row.agent.template for one in judged}
        templates = {name for name in asked if name and await work.template(name, organisation=by.organisation) is None}
        fit, others = list[_Judged](), dict[str, RowResult]()
        for one in judged:
            agent, key = one.row.agent, one.row.key
            if groups.intersection(agent.groups):
                others[key] = refused(key, InvalidParameter("groups: there is no such group"))
            elif agent.template in templates:
                others[key] = refused(key, InvalidParameter("template: there is no such blueprint"))
            elif not await _spent(work, one.proven):
                others[key] = RowResult(
                    key=key, outcome="refused", code="replayed", detail="this proof was shown before"
                )
            else:
                fit.append(one)
        return fit, others

    async def _record(
        self, work: Work, rows: Sequence[Listed], results: Mapping[str, RowResult], *, by: Operator
    ) -> None:
        counts = {
            word: sum(result.outcome == word for result in results.values())
            for word in ("created", "exists", "refused")
        }
        event = self.office.event(by, "agent.import", None, f"{counts['created']} agents were registered")
        details = {**event.details, **{word: str(count) for word, count in counts.items()}}
        # Which ones is in their histories; the digest says that this batch is meant.
        digest = digest_uri("\n".join(sorted(row.key for row in rows)).encode())
        await work.record(replace(event, argument_digest=digest, details=details))


def refused(key: str, error: DidAgentError) -> RowResult:
    """Return that a row was refused, and why."""
    return RowResult(key=key, outcome="refused", code=error.code, detail=(error.detail or error.public)[:256])


async def _spent(work: Work, proven: VerifiedPresentation | None) -> bool:
    return proven is None or await work.spend(PURPOSE, proven.replay_key, expires=proven.replay_until)
