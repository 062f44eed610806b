"""Wire forms of the registry: closed on the way in, explicit on the way out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from did_agent.clock import format_timestamp
from issuer.api.schemas import Text
from issuer.model import HOME, NewAgent
from issuer.model.registry import (
    MAX_BATCH,
    Description,
    Group,
    Happening,
    Impact,
    RowResult,
    Switch,
    Template,
)
from issuer.service.imports import Listed

Label = Annotated[StrictStr, Field(min_length=1, max_length=64)]
Name = Annotated[StrictStr, Field(min_length=1, max_length=64)]
Sponsor = Annotated[StrictStr, Field(min_length=1, max_length=512)]
Owner = Annotated[StrictStr, Field(min_length=1, max_length=256)]
Because = Annotated[StrictStr, Field(min_length=1, max_length=256)]
Metadata = Annotated[dict[Text, Text], Field(max_length=16)]
Uris = Annotated[list[Text], Field(max_length=8)]
Labels = Annotated[list[Label], Field(max_length=16)]
Identifiers = Annotated[list[Owner], Field(max_length=MAX_BATCH)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Describe(_Closed):
    """What is said anew of an agent; what is left out stays.  Its state is none of it."""

    name: Name | None = None
    description: Text | None = None
    metadata: Metadata | None = None
    redirect_uris: Uris | None = None
    tags: Labels | None = None
    groups: Labels | None = None
    sponsor: Sponsor | None = None

    def said(self) -> Description:
        """Return it."""
        return Description(**self.model_dump())


class Transfer(_Closed):
    """Into whose hands an agent goes."""

    owner: Owner
    sponsor: Sponsor | None = None
    reason: Because


class PutTemplate(_Closed):
    """What agents made from a blueprint have in common."""

    sponsor: Sponsor
    description: Text = ""
    metadata: Metadata = {}
    redirect_uris: Uris = []
    tags: Labels = []
    groups: Labels = []


class Instantiate(_Closed):
    """How many instances, or which."""

    count: Annotated[StrictInt, Field(ge=1, le=MAX_BATCH)] | None = None
    names: Annotated[list[Name], Field(max_length=MAX_BATCH)] = []


class PutGroup(_Closed):
    """What a group is for."""

    description: Text = ""


class ChangeMembers(_Closed):
    """Who comes into a group and who leaves it, by id or DID."""

    add: Identifiers = []
    remove: Identifiers = []


class TurnOn(_Closed):
    """What is stopped, and why."""

    scope: Literal["sponsor", "template", "group", "organisation"]
    target: Annotated[StrictStr, Field(max_length=512)] = ""
    reason: Because


class Import(_Closed):
    """A batch of agents; each row is read for itself, as `ImportedAgent`."""

    rows: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MAX_BATCH)]


class ImportedAgent(_Closed):
    """An agent as the caller has it; without a key its name is the key."""

    key: Annotated[StrictStr, Field(min_length=1, max_length=128)] | None = None
    name: Name
    sponsor: Sponsor
    owner: Owner | None = None
    description: Text = ""
    metadata: Metadata = {}
    redirect_uris: Uris = []
    tags: Labels = []
    groups: Labels = []
    template: Label | None = None
    did: Owner | None = None
    proof: Annotated[StrictStr, Field(min_length=1, max_length=4_096)] | None = None

    def listed(self) -> Listed:
        """Return the row."""
        new = NewAgent(
            name=self.name,
            sponsor=self.sponsor,
            owner=self.owner,
            description=self.description,
            metadata=self.metadata,
            redirect_uris=tuple(self.redirect_uris),
            tags=tuple(self.tags),
            groups=tuple(self.groups),
        )
        return Listed(key=self.key or self.name, new=new, template=self.template, did=self.did, proof=self.proof)


def template_of(name: str, body: PutTemplate, *, now: Any) -> Template:
    """Return the blueprint that a body describes."""
    return Template(
        organisation=HOME,  # the service says whose it is
        name=name,
        version=0,
        sponsor=body.sponsor,
        description=body.description,
        metadata=body.metadata,
        redirect_uris=tuple(body.redirect_uris),
        tags=tuple(sorted(set(body.tags))),
        groups=tuple(sorted(set(body.groups))),
        created=now,
        by="",
    )


def template_out(template: Template) -> dict[str, object]:
    """Return the wire form of a blueprint."""
    return {
        "name": template.name,
        "version": template.version,
        "sponsor": template.sponsor,
        "description": template.description,
        "metadata": dict(template.metadata),
        "redirect_uris": list(template.redirect_uris),
        "tags": list(template.tags),
        "groups": list(template.groups),
        "created": format_timestamp(template.created),
        "by": template.by,
    }


def group_out(group: Group) -> dict[str, object]:
    """Return the wire form of a group."""
    return {"name": group.name, "description": group.description, "created": format_timestamp(group.created)}


def happening_out(happening: Happening) -> dict[str, object]:
    """Return the wire form of something that happened."""
    return {
        "event": happening.event,
        "before": happening.before,
        "after": happening.after,
        "actor": happening.actor,
        "reason": happening.reason,
        "at": format_timestamp(happening.at),
    }


def switch_out(switch: Switch) -> dict[str, object]:
    """Return the wire form of a kill switch."""
    return {
        "id": switch.id,
        "scope": switch.scope,
        "target": switch.target,
        "reason": switch.reason,
        "by": switch.by,
        "at": format_timestamp(switch.at),
        "stopped": switch.stopped,
        "lifted": None if switch.lifted is None else format_timestamp(switch.lifted),
        "lifted_by": switch.lifted_by,
    }


def impact_out(impact: Impact) -> dict[str, object]:
    """Return the wire form of what a change would end."""
    return {
        "agents": impact.agents,
        "credentials": impact.credentials,
        "children": impact.children,
        "status_entries": impact.status_entries,
        "tools": list(impact.tools),
        "resources": list(impact.resources),
        "partial": impact.is_partial,
    }


def result_out(result: RowResult, *, row: int) -> dict[str, object]:
    """Return what became of a row; `row` counts from 1 within its batch."""
    return {
        "row": row,
        "key": result.key,
        "outcome": result.outcome,
        "agent_id": result.agent_id,
        "code": result.code,
        "detail": result.detail,
    }
