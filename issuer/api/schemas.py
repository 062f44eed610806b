"""Wire forms of the issuer: closed on the way in, explicit on the way out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from did_agent.clock import format_timestamp
from issuer.model import Agent, Grant

Text = Annotated[StrictStr, Field(max_length=512)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CreateAgent(_Closed):
    """What an operator says of a new agent."""

    name: Annotated[StrictStr, Field(min_length=1, max_length=64)]
    sponsor: Annotated[StrictStr, Field(min_length=1, max_length=512)]
    owner: Annotated[StrictStr, Field(min_length=1, max_length=256)] | None = None
    description: Text = ""
    metadata: Annotated[dict[Text, Text], Field(max_length=16)] = {}
    redirect_uris: Annotated[list[Text], Field(max_length=8)] = []
    tags: Annotated[list[Text], Field(max_length=16)] = []
    groups: Annotated[list[Text], Field(max_length=16)] = []


class Enrol(_Closed):
    """A presentation without credentials that answers the invitation."""

    presentation: dict[str, Any]


class Reason(_Closed):
    """Why something ends or comes back."""

    reason: Annotated[StrictStr, Field(min_length=1, max_length=256)]


class IssueCredential(_Closed):
    """Which capabilities an agent gets, each read by the credential core, or what a template says."""

    capabilities: Annotated[list[dict[str, Any]], Field(max_length=16)] = []
    template: Annotated[StrictStr, Field(max_length=64)] | None = None
    valid_seconds: StrictInt | None = None
    max_depth: StrictInt | None = None
    renewable_seconds: StrictInt = 0
    on_behalf_of: Text | None = None
    cryptosuite: Literal["eddsa-jcs-2022", "eddsa-rdfc-2022"] = "eddsa-jcs-2022"


def agent_out(agent: Agent) -> dict[str, object]:
    """Return the wire form of an agent."""
    return {
        "agent_id": agent.agent_id,
        "did": agent.did,
        "name": agent.name,
        "state": agent.state,
        "sponsor": agent.sponsor,
        "owner": agent.owner,
        "organisation": agent.organisation,
        "description": agent.description,
        "metadata": dict(agent.metadata),
        "redirect_uris": list(agent.redirect_uris),
        "tags": list(agent.tags),
        "groups": list(agent.groups),
        "template": agent.template,
        "custody": agent.custody,
        "created": format_timestamp(agent.created),
        "changed": format_timestamp(agent.changed),
    }


def grant_out(grant: Grant, state: str) -> dict[str, object]:
    """Return the wire form of a credential's record."""
    return {
        "id": grant.id,
        "agent": grant.did,
        "agent_id": grant.agent_id,
        "state": state,
        "issued": format_timestamp(grant.issued),
        "valid_until": format_timestamp(grant.valid_until),
        "template": grant.source.template,
        "role": grant.source.role,
        "request": grant.source.request_id,
        "begun": grant.begun,
        "renewed_to": grant.renewed_to,
        "renewable_until": _stamp(grant.source.renewable_until),
        "credential": grant.document,
    }


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else format_timestamp(moment)
