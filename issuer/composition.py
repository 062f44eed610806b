"""Joins services and routes on one office; the app adds what touches the world."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import replace

from did_agent.adapters.foreign_keys import ForeignKeys
from did_agent.adapters.readiness import Readiness
from did_agent.ports import FetchJSON
from issuer.adapters.sealing import AgeSealer
from issuer.api import (
    about,
    agents,
    attestation,
    credentials,
    delegations,
    did_web,
    enrolment,
    forms,
    imports,
    issuing_keys,
    keys,
    offers,
    oid4vci,
    organisations,
    principals,
    registry,
    requests,
    roles,
    status,
    switches,
    templates,
    trust,
    webhooks,
)
from issuer.api.cursors import Cursors
from issuer.api.routes import Route
from issuer.configurations import credential_issuer
from issuer.ports.keys import KeySealer
from issuer.service.agents import Agents
from issuer.service.applications import Applications
from issuer.service.attestation import Attestations
from issuer.service.custody import Custody
from issuer.service.delegations import Delegations
from issuer.service.did_web import DIDDocuments
from issuer.service.enrolment import Enrolments
from issuer.service.enrolment_tokens import EnrolmentTokens
from issuer.service.granting import Granting
from issuer.service.grouping import Groups
from issuer.service.imports import Imports
from issuer.service.issuing import IssuingKeys
from issuer.service.offer_tokens import OfferTokens, ProofsOnce
from issuer.service.offers import Offers
from issuer.service.office import Office
from issuer.service.oid4vci import Wallets
from issuer.service.organisations import Organisations
from issuer.service.principals import Principals
from issuer.service.registry import Registry
from issuer.service.requests import Requests
from issuer.service.roles import Roles
from issuer.service.rotation import Rotation
from issuer.service.status import Statuses
from issuer.service.switches import Switches
from issuer.service.templates import Templates
from issuer.service.trust import TrustRegistry
from issuer.service.webhooks import Addresses, Webhooks
from verifier.doors.known import KnownTexts
from verifier.doors.token import TokenDoor
from verifier.service import Verifier


def compose(office: Office, readiness: Readiness | None = None) -> Sequence[Route]:
    """Return every route of the issuer; the more special path comes before the more general one."""
    return (
        *did_web.routes(DIDDocuments(office=office)),
        *compose_registry(office),
        *agents.routes(Agents(office=office)),
        *enrolment.routes(Enrolments(office=office)),
        *keys.routes(Rotation(office=office)),
        *credentials.routes(Granting(office=office), Cursors.of(office.key)),
        *compose_grants(office),
        *status.routes(Statuses(office=office)),
        *delegations.routes(Delegations(office=office), Cursors.of(office.key)),
        *principals.routes(Principals(office=office), Cursors.of(office.key)),
        *about.routes(office, readiness),
        *trust.routes(TrustRegistry(office=office)),
    )


def compose_registry(office: Office) -> Sequence[Route]:
    """Return the routes of the registry; those with fixed paths come before those that name an agent."""
    kept, cursors = Registry(office=office), Cursors.of(office.key)
    return (
        *imports.routes(Imports(office=office)),
        *registry.routes(kept, cursors),
        *templates.template_routes(Templates(office=office), cursors),
        *templates.group_routes(Groups(office=office), kept, cursors),
        *switches.routes(Switches(office=office), kept, cursors),
    )


def compose_grants(office: Office) -> Sequence[Route]:
    """Return the routes of roles, requests and forms."""
    kept, cursors = Roles(office=office), Cursors.of(office.key)
    return (
        *roles.capability_routes(kept, cursors),
        *roles.role_routes(kept, cursors),
        *requests.routes(Requests(office=office), cursors),
        *forms.routes(kept),
    )


def compose_keys(office: Office, sealer: KeySealer) -> Sequence[Route]:
    """Return the routes of organisations and of the keys they sign with, which `sealer` keeps."""
    kept = IssuingKeys(office=office, sealer=sealer)
    return (
        *issuing_keys.routes(kept),
        *organisations.routes(Organisations(office=office, keys=kept), Cursors.of(office.key)),
    )


def compose_webhooks(office: Office, root: bytes, addresses: Addresses) -> Sequence[Route]:
    """Return the routes of webhooks; their keys are derived from `root`, which is used for nothing else (KEY-04)."""
    return webhooks.routes(Webhooks(office=office, root=root, addresses=addresses), Cursors.of(office.key))


def compose_enrolment(office: Office, fetcher: FetchJSON) -> Sequence[Route]:
    """Return the routes by which agents come in that nobody registered; `fetcher` gets keys of platforms."""
    cursors = Cursors.of(office.key)
    return (
        *enrolment.token_routes(EnrolmentTokens(office=office), cursors),
        *enrolment.application_routes(Applications(office=office), cursors),
        *enrolment.custody_routes(Custody(office=office, sealer=AgeSealer())),
        *attestation.routes(Attestations(office=office, keys=ForeignKeys(fetcher, clock=office.clock)), cursors),
    )


def compose_wallets(office: Office, verifier: Verifier, *, bridge_url: str) -> Sequence[Route]:
    """Return the routes of credential offers; the bridge's tokens for them have an audience of their own."""
    made = Offers(office=office, bridge_url=bridge_url)
    tokens = OfferTokens(office=office, admit=_door(verifier, office).admit)
    # Replicas with the same key take each other's nonces (KEY-04: derived, used for this alone).
    nonce_key = hmac.digest(office.key.seed(), b"did-agent issuer key proof nonces v1", hashlib.sha256)
    services = oid4vci.WalletServices(
        offers=made,
        tokens=tokens,
        wallets=Wallets(office=office, nonce_key=nonce_key),
        statuses=Statuses(office=office),
    )
    return (*offers.routes(made, Cursors.of(office.key)), *oid4vci.routes(services))


def _door(verifier: Verifier, office: Office) -> Verifier:
    """Return a verifier like this one for another resource; what one remembers of a token the other must not."""
    resource = credential_issuer(office.url)
    doors = tuple(replace(door, resource=resource) for door in verifier.doors if isinstance(door, TokenDoor))
    return replace(verifier, resource=resource, doors=doors, known=KnownTexts(), replay=ProofsOnce(office=office))
