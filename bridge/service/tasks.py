"""Tasks: begun with a consent or a token, and ended with everything that was given for them (DEL-10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bridge import audit_trail, tasks
from bridge.clients import Client, require_client
from bridge.model import Identity, OAuthRequest, User
from bridge.model.consents import Consent
from bridge.model.tasks import Task
from bridge.ports import Store, Transaction
from bridge.service.attempt import spend
from bridge.service.clients import Clients
from bridge.service.revocation import announce, end_tokens
from did_agent import errors
from did_agent.clock import Clock
from did_agent.policy.caller import PrincipalKind
from did_agent.tokens.access_token import AccessToken
from did_agent.tokens.task import is_task_id

MOST = 200  # tasks one answer lists


async def begin(work: Transaction, consent: Consent, *, identity: Identity) -> None:
    """Write the task that a person just allowed, if it is for one.

    Raises: TaskCompleted: nothing is allowed for what is over.
    """
    task = tasks.begun_with(
        consent.task,
        username=consent.username,
        client_id=consent.client_id,
        agent=consent.agent,
        resource=consent.resource,
        issuer=identity.issuer,
        now=consent.given,
    )
    if task is None:
        return
    if await work.denied({task.id}) is not None:
        raise errors.TaskCompleted("the task was completed")
    await work.begin_task(task)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """Lists tasks and ends them; each end is recorded in its transaction."""

    store: Store
    identity: Identity
    clients: Clients
    operators: frozenset[str]
    clock: Clock

    async def complete(self, request: OAuthRequest) -> Task:
        """End a task of the calling client, by its id or by what the client calls it.

        Raises: ClientNotAuthenticated, MissingParameter, InvalidParameter, NotFound, also for somebody else's task.
        """
        client = require_client(await self.clients.authenticate(request, now=self.clock()))
        async with self.store.transaction() as work:
            if client.spend is not None:
                await spend(work, client.spend)
        named = request.get("task")
        if named is None:
            raise errors.MissingParameter("task is required")
        try:
            task = await self._of_client(named, client)
        except errors.NotFound as error:
            await self._refused(named, error, client, request.request_id)
            raise
        kind: PrincipalKind = "agent" if client.agent is not None else "service"
        await self._end(task, by=client.id, kind=kind, request_id=request.request_id, client_id=client.id)
        return task

    async def complete_for(self, named: str, *, by: AccessToken, request_id: str) -> Task:
        """End any task, for an operator.

        Raises: InvalidParameter, NotFound.
        """
        task = await self._named(named, client_id="")
        said = {"client_id": by.client_id, "token_id": by.id}
        await self._end(task, by=by.subject, kind="service", request_id=request_id, **said)
        return task

    async def complete_own(self, user: User, task_id: str, *, request_id: str) -> None:
        """End a task that is done for this person.

        Raises: NotFound.
        """
        task = await self._named(task_id, client_id="")
        if (task.principal_kind, task.principal) != ("user", user.username):
            raise errors.NotFound("there is no such task of this person")
        await self._end(task, by=user.username, kind="user", request_id=request_id)

    async def running(self, user: User | None = None) -> Sequence[Task]:
        """Return the tasks that are not over, the newest first: those of a person, or all."""
        async with self.store.transaction() as work:
            return await work.open_tasks(limit=MOST, username=None if user is None else user.username)

    async def _of_client(self, named: str, client: Client) -> Task:
        task = await self._named(named, client_id=client.id)
        is_operator = client.id in self.operators
        if not is_operator and not tasks.may_complete(task, client_id=client.id, agent=client.agent):
            raise errors.NotFound("there is no such task of this client")
        return task

    async def _refused(self, named: str, error: errors.DidAgentError, client: Client, request_id: str) -> None:
        async with self.store.transaction() as work:
            await work.record(
                audit_trail.bridge_event(
                    self.identity,
                    "task.complete",
                    error.detail,
                    now=self.clock(),
                    decision="deny",
                    reason=error.code,
                    client_id=client.id,
                    target=named,
                    request_id=request_id,
                )
            )

    async def _named(self, named: str, *, client_id: str) -> Task:
        if not tasks.is_reference(named):
            raise errors.InvalidParameter("task is neither an id nor a name of a task")
        async with self.store.transaction() as work:
            if is_task_id(named):
                found = [one for one in [await work.task(named)] if one is not None]
            else:
                found = [*await work.tasks_called(named, client_id=client_id)]
        if len(found) > 1:
            raise errors.InvalidParameter("several tasks have this name; say the id of one")
        if not found:
            raise errors.NotFound("there is no such task of this client")
        return found[0]

    async def _end(self, task: Task, *, by: str, kind: PrincipalKind, request_id: str, **said: Any) -> None:
        now, identity = self.clock(), self.identity
        async with self.store.transaction() as work:
            if not await work.complete_task(task.id, by=by, now=now):
                return  # it was over before: that is what was asked for
            reason = "the task was completed"
            await announce(work, "task-completed", task.id, reason=reason, key=task.id, identity=identity, now=now)
            await end_tokens(work, [task.id], reason=reason, identity=identity, now=now)
            await work.record(
                audit_trail.bridge_event(
                    identity,
                    "task.complete",
                    reason,
                    now=now,
                    principal=by,
                    principal_kind=kind,
                    target=task.id,
                    resource=task.resource,
                    request_id=request_id,
                    details={"name": task.name, "for": task.principal, "begun_by": task.client_id},
                    **said,
                )
            )
