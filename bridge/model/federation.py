"""Whom else the bridge believes: identity providers that vouch for users, platforms that vouch for workloads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadRule:
    """Which workload of a platform is which agent; every part must fit."""

    subject: str  # the whole `sub`; `*` stands for one or more characters other than `/` and `:`
    claims: Mapping[str, str]  # further claims that must have exactly these values; `a.b` looks into objects
    agent: str  # DID of the agent that such a workload is
    scopes: frozenset[str] | None  # at most these; None: whatever the agent's credentials give
    reusable: bool  # a token that the platform hands out for a while, as Kubernetes does; else each is taken once


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIssuer:
    """An issuer of JWTs outside this deployment, known by its exact `iss`."""

    issuer: str
    name: str
    jwks_uri: str | None  # None: found by OpenID Connect discovery
    vouches_for_users: bool  # its ID-JAGs are accepted
    rules: tuple[WorkloadRule, ...]  # the first that fits counts; empty: no workload is believed
