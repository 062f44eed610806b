"""Binding a grant to a task, and who may end it (DEL-05, DEL-06, DEL-10)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from bridge.model import Grant
from bridge.model.tasks import TASK_KEPT, Task
from did_agent.errors import InvalidParameter
from did_agent.policy.caller import PrincipalKind
from did_agent.tokens.access_token import SubjectProfile
from did_agent.tokens.task import is_task_id, is_task_name, task_id

KINDS: Final[dict[SubjectProfile, PrincipalKind]] = {"user": "user", "ai_agent": "agent", "service": "service"}


def parse_name(text: str | None) -> str | None:
    """Return what a client calls its task, if it says so.

    Raises: InvalidParameter.
    """
    if text is not None and not is_task_name(text):
        raise InvalidParameter("task is not 1 to 128 letters, digits or any of - . _ ~")
    return text


def bound(grant: Grant, asked: str | None, *, issuer: str) -> Grant:
    """Return the grant bound to the task it came with, or else to the one that is asked for.

    What came with a consent or an earlier token stays: it can be named again, never changed and never dropped.
    Raises: InvalidParameter.
    """
    if grant.task is not None:
        if asked not in (None, grant.task):
            raise InvalidParameter("the token is for another task")
        return grant
    name = grant.task_name
    if name is None:
        name = parse_name(asked)
        if name is None:
            return grant
    kind = KINDS[grant.subject_profile]
    client = grant.task_client or grant.client_id
    identifier = task_id(name, issuer=issuer, principal=grant.subject, principal_kind=kind, client=client)
    if asked not in (None, name, identifier):
        raise InvalidParameter("what was allowed is for another task")
    return replace(grant, task=identifier, task_name=name)


def begun(grant: Grant, *, now: datetime) -> Task | None:
    """Return the task as this grant begins or goes on with it; None without one, or where an earlier token named it."""
    if grant.task is None or grant.task_name is None:
        return None
    own = (grant.subject,) if grant.subject_profile == "ai_agent" else ()
    return Task(
        id=grant.task,
        name=grant.task_name,
        principal=grant.subject,
        principal_kind=KINDS[grant.subject_profile],
        client_id=grant.client_id,
        agents=(*grant.actors, *own),
        resource=grant.resource,
        started=now,
        expires=now + TASK_KEPT,
    )


def begun_with(
    name: str | None, *, username: str, client_id: str, agent: str | None, resource: str, issuer: str, now: datetime
) -> Task | None:
    """Return the task that a person allows, before there is a token: they can end it from then on."""
    if name is None:
        return None
    return Task(
        id=task_id(name, issuer=issuer, principal=username, principal_kind="user", client=client_id),
        name=name,
        principal=username,
        principal_kind="user",
        client_id=client_id,
        agents=() if agent is None else (agent,),
        resource=resource,
        started=now,
        expires=now + TASK_KEPT,
    )


def may_complete(task: Task, *, client_id: str, agent: str | None = None) -> bool:
    """Tell whether a client may end a task: the one that began it, or an agent that acted then.

    An agent that was handed on to later cannot: it would end what others above it still do.
    """
    return client_id == task.client_id or client_id in task.agents or (agent is not None and agent in task.agents)


def is_reference(text: str) -> bool:
    """Tell whether a text can name a task at all: by its id, or as its client calls it."""
    return is_task_id(text) or is_task_name(text)
