"""What the issuer keeps of tokens, workloads, and keys that wait for somebody's word."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from did_agent.keys.public import PublicKey
from issuer.model import Agent, Custody
from issuer.model.enrolment import Application, ApprovalPolicy, AttestationRule, EnrolmentToken, Verdict


class EnrolmentWork(Protocol):
    """The part of a transaction that is about enrolment tokens and applications."""

    async def add_enrolment_token(self, token: EnrolmentToken) -> None:
        """Keep a token."""
        ...

    async def use_enrolment_token(self, digest: str, now: datetime) -> EnrolmentToken | None:
        """Take one use off a token and return it; None when it is unknown, used up, over or withdrawn."""
        ...

    async def end_enrolment_token(self, identifier: str, *, organisation: str, now: datetime) -> bool:
        """Withdraw a token; False when there is none that counts."""
        ...

    async def enrolment_token(self, identifier: str, *, organisation: str) -> EnrolmentToken | None:
        """Return a token."""
        ...

    async def enrolment_tokens(
        self, *, organisation: str, owner: str | None, after: str, limit: int
    ) -> Sequence[EnrolmentToken]:
        """Return tokens by id, `owner` None for everyone's."""
        ...

    async def add_application(self, application: Application) -> None:
        """Keep a key that waits; another that waits for the same agent is superseded.

        Raises: StateConflict when this key asked before.
        """
        ...

    async def application(self, identifier: str, *, organisation: str) -> Application | None:
        """Return an application."""
        ...

    async def application_of(self, did: str) -> Application | None:
        """Return what became of a key that asked."""
        ...

    async def applications(
        self, *, organisation: str, owner: str | None, verdict: str | None, after: str, limit: int
    ) -> Sequence[Application]:
        """Return applications by id, `owner` None for everyone's."""
        ...

    async def decide_application(
        self, application: Application, verdict: Verdict, *, by: str, reason: str, now: datetime
    ) -> bool:
        """Decide on an application that waits; False when it does not wait any more."""
        ...

    async def put_approval_policy(self, policy: ApprovalPolicy) -> None:
        """Say whether agents wait for their owner."""
        ...

    async def approval_policies(self, organisation: str) -> Sequence[ApprovalPolicy]:
        """Return what an organisation said of it."""
        ...

    async def void_invitation(self, agent_id: str) -> None:
        """Make an agent's invitation void."""
        ...

    async def set_custody(self, agent: Agent, custody: Custody) -> None:
        """Say who made an agent's key."""
        ...


class AttestationWork(Protocol):
    """The part of a transaction that is about workloads."""

    async def put_attestation_rule(self, rule: AttestationRule) -> None:
        """Keep a rule, in place of one of this name."""
        ...

    async def remove_attestation_rule(self, name: str, *, organisation: str) -> bool:
        """Forget a rule; False when there is none."""
        ...

    async def attestation_rules(
        self, *, organisation: str, issuer: str | None = None, after: str = "", limit: int = 100
    ) -> Sequence[AttestationRule]:
        """Return rules by name."""
        ...

    async def workload(self, rule: AttestationRule, workload: str) -> str | None:
        """Return the agent that a workload is under a rule."""
        ...

    async def add_workload(self, rule: AttestationRule, workload: str, agent: Agent) -> bool:
        """Say which agent a workload is; False when that was said at the same moment."""
        ...


class WorkloadKeys(Protocol):
    """Finds the keys of platforms that vouch for workloads."""

    async def find(self, issuer: str, jwks_uri: str | None, kid: object) -> PublicKey:
        """Return a key of an issuer, from `jwks_uri` or where its discovery document says.

        Raises: WrongKey, KeysUnavailable.
        """
        ...


class Sealer(Protocol):
    """Seals a secret for whoever asked for it (age-encryption.org/v1)."""

    async def seal(self, secret: bytes, *, recipient: str | None, passphrase: str | None) -> str:
        """Return the sealed secret as text.  Raises: InvalidParameter for no recipient."""
        ...
