"""Wire forms of enrolment: closed on the way in, explicit on the way out."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from did_agent.clock import format_timestamp
from issuer.api.schemas import Text, agent_out
from issuer.model import HOME
from issuer.model.enrolment import Application, ApprovalPolicy, AttestationRule, Enrolled, EnrolmentToken, Rebind

Label = Annotated[StrictStr, Field(min_length=1, max_length=64)]
Owner = Annotated[StrictStr, Field(min_length=1, max_length=256)]
Compact = Annotated[StrictStr, Field(min_length=1, max_length=16_384)]
Labels = Annotated[list[Label], Field(max_length=16)]
Texts = Annotated[dict[Text, Text], Field(max_length=16)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CreateToken(_Closed):
    """Who may come in by a token."""

    template: Label
    uses: StrictInt = 1
    valid_seconds: StrictInt = 3_600
    groups: Labels = []
    owner: Owner | None = None
    needs_approval: StrictBool = False
    note: Text = ""


class EnrolByToken(_Closed):
    """The token, and the new key's proof whose nonce is the token's digest."""

    token: Annotated[StrictStr, Field(min_length=1, max_length=256)]
    possession: Compact
    name: Label | None = None


class Attest(_Closed):
    """A platform's word, and the new key's proof whose nonce is its digest."""

    attestation: Compact
    possession: Compact
    organisation: Label = HOME


class Possession(_Closed):
    """A key's proof."""

    possession: Compact


class PutRule(_Closed):
    """Which workloads are instances of a blueprint."""

    issuer: Annotated[StrictStr, Field(min_length=1, max_length=512)]
    claims: Annotated[dict[Text, Text], Field(min_length=1, max_length=16)]
    template: Label
    agent_name: Annotated[StrictStr, Field(min_length=1, max_length=512)]
    jwks: dict[str, Any] | None = None
    jwks_uri: Text | None = None
    tags: Labels = []
    metadata: Texts = {}
    sponsor: Text | None = None
    owner: Owner | None = None
    needs_approval: StrictBool = False
    rebind: Rebind = "refuse"


class PutPolicy(_Closed):
    """Whether owners are asked: for a blueprint, or without one for all."""

    template: Label | None = None
    needs_approval: StrictBool


class HandOut(_Closed):
    """For whom a custodial key is sealed."""

    recipient: Annotated[StrictStr, Field(min_length=1, max_length=256)] | None = None
    passphrase: Annotated[StrictStr, Field(min_length=1, max_length=256)] | None = None


def enrolled_out(enrolled: Enrolled) -> dict[str, object]:
    """Return the wire form of what came of an enrolment."""
    return {
        **agent_out(enrolled.agent),
        "identity_credential": enrolled.identity,
        "application": enrolled.waiting,
    }


def token_out(token: EnrolmentToken) -> dict[str, object]:
    """Return the wire form of a token, without its secret, which nobody has."""
    return {
        "id": token.id,
        "template": token.template,
        "groups": list(token.groups),
        "owner": token.owner,
        "needs_approval": token.needs_approval,
        "note": token.note,
        "uses": token.uses,
        "left": token.left,
        "created": format_timestamp(token.created),
        "expires": format_timestamp(token.expires),
        "by": token.by,
        "ended": None if token.ended is None else format_timestamp(token.ended),
    }


def application_out(application: Application) -> dict[str, object]:
    """Return the wire form of a key that waits or waited."""
    return {
        "id": application.id,
        "agent_id": application.agent_id,
        "did": application.did,
        "asking": application.asking,
        "source": application.source,
        "source_id": application.source_id,
        "owner": application.owner,
        "by": application.by,
        "asked": format_timestamp(application.asked),
        "verdict": application.verdict,
        "decided": None if application.decided is None else format_timestamp(application.decided),
        "decided_by": application.decided_by,
        "reason": application.reason,
    }


def rule_out(rule: AttestationRule) -> dict[str, object]:
    """Return the wire form of a rule."""
    return {
        "name": rule.name,
        "issuer": rule.issuer,
        "jwks": rule.jwks,
        "jwks_uri": rule.jwks_uri,
        "claims": dict(rule.claims),
        "template": rule.template,
        "agent_name": rule.agent_name,
        "tags": list(rule.tags),
        "metadata": dict(rule.metadata),
        "sponsor": rule.sponsor,
        "owner": rule.owner,
        "needs_approval": rule.needs_approval,
        "rebind": rule.rebind,
        "created": format_timestamp(rule.created),
        "by": rule.by,
    }


def policy_out(policy: ApprovalPolicy) -> dict[str, object]:
    """Return the wire form of what is said of approval."""
    return {"template": policy.template, "needs_approval": policy.needs_approval}
