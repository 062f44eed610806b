"""Enrolment tokens: handed out by those who own agents, used by agents that nobody has to register."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from did_agent.credential.issuance import new_id
from did_agent.errors import BadGrant, InsufficientScope, InvalidParameter, NotFound
from issuer.access import own_alone
from issuer.description import require_label
from issuer.enrolment import digest_of, make_secret, prove_for, require_token
from issuer.model import Operator
from issuer.model.enrolment import Enrolled, EnrolmentToken
from issuer.naming import require_text
from issuer.service.admission import Admission, Admitted, Wanted
from issuer.service.grouping import require_groups
from issuer.service.office import Office


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """What an operator asks for."""

    template: str
    uses: int
    valid_seconds: int
    groups: tuple[str, ...] = ()
    owner: str | None = None  # None: who asks
    needs_approval: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentTokens:
    """Who may come in, how many, and until when."""

    office: Office

    async def create(self, new: NewToken, *, by: Operator) -> tuple[EnrolmentToken, str]:
        """Make a token and return it with its secret, which is shown this once.

        Raises: InvalidParameter, InsufficientScope, NotFound, StoreUnavailable.
        """
        now, secret = self.office.clock(), make_secret()
        if new.groups and by.roles <= {"sponsor"}:
            raise InsufficientScope("issuer:manage is needed to say groups")
        token = EnrolmentToken(
            organisation=by.organisation,
            id=new_id(),
            digest=digest_of(secret),
            template=require_label("template", new.template),
            groups=tuple(sorted(set(new.groups))),
            owner=require_text("owner", own_alone(by) or new.owner or by.principal or ""),
            needs_approval=new.needs_approval,
            note=require_text("note", new.note),
            uses=new.uses,
            left=new.uses,
            created=now,
            expires=now + timedelta(seconds=new.valid_seconds),
            by=by.principal or "",
        )
        require_token(token)
        async with self.office.store.work() as work:
            if await work.template(token.template, organisation=by.organisation) is None:
                raise NotFound("there is no such blueprint")
            await require_groups(work, token.groups, organisation=by.organisation, by=by)
            await work.add_enrolment_token(token)
            words = f"{token.uses} agents may enrol from {token.template}"
            await work.record(self.office.event(by, "enrolment-token.create", token.id, words))
        self.office.news.wake_audit()
        return token, secret

    async def list(self, *, after: str, limit: int, by: Operator) -> Sequence[EnrolmentToken]:
        """Return tokens by id; a sponsor sees its own.

        Raises: StoreUnavailable.
        """
        async with self.office.store.work() as work:
            return await work.enrolment_tokens(
                organisation=by.organisation, owner=own_alone(by), after=after, limit=limit
            )

    async def end(self, identifier: str, *, by: Operator) -> EnrolmentToken:
        """Withdraw a token; agents that came by it stay.

        Raises: NotFound, StoreUnavailable.
        """
        now, own = self.office.clock(), own_alone(by)
        async with self.office.store.work() as work:
            token = await work.enrolment_token(identifier, organisation=by.organisation)
            if token is None or own not in (None, token.owner):
                raise NotFound("there is no such enrolment token")
            if await work.end_enrolment_token(identifier, organisation=by.organisation, now=now):
                words = f"withdrawn with {token.left} of {token.uses} uses left"
                await work.record(self.office.event(by, "enrolment-token.revoke", token.id, words))
            ended = await work.enrolment_token(identifier, organisation=by.organisation)
        self.office.news.wake_audit()
        return ended or token

    async def enrol(self, secret: str, possession: str, *, name: str | None, request_id: str) -> Enrolled:
        """Make an agent with the key that proved itself for exactly this token.

        Raises: Malformed, VerificationError, BadGrant, InvalidParameter, StateConflict, StoreUnavailable.
        """
        now = self.office.clock()
        proven = prove_for(secret, possession, issuer_url=self.office.url, now=now)
        async with self.office.store.work() as work:
            entry = Admission(office=self.office, work=work, now=now, request_id=request_id)
            await entry.spend(proven)
            token = await work.use_enrolment_token(digest_of(secret), now)
            if token is None:
                raise BadGrant("the token is unknown, used up, over or withdrawn")
            template = await work.template(token.template, organisation=token.organisation)
            if template is None:
                raise InvalidParameter("the blueprint of this token is gone")
            agent = await entry.register(template, Wanted(name=name, owner=token.owner, groups=token.groups))
            admitted = Admitted(source="token", source_id=token.id, by=token.by, needs_approval=token.needs_approval)
            enrolled = await entry.settle(agent, proven.holder, admitted)
        self.office.news.wake_audit()
        return enrolled
