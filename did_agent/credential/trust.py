"""Which issuers may grant what: default deny, decided before anything is fetched (VCX-05)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal, Protocol, get_args

from did_agent.credential.capability import Capability
from did_agent.did.resolve import NO_DOCUMENTS, Documents
from did_agent.errors import UntrustedIssuer

# What an issuer may say: roots of capability chains, on whose behalf an agent acts, and what of it was taken back.
Kind = Literal["capability", "identity", "status"]
KINDS: Final[frozenset[Kind]] = frozenset(get_args(Kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Remit:
    """What one line of trust allows; None means any."""

    resources: frozenset[str] | None = None  # exact identifiers
    tools: frozenset[str] | None = None
    kinds: frozenset[Kind] = KINDS
    origins: frozenset[str] | None = None  # `https://host` where its status lists may lie

    def allows(self, resource: str, tool: str | None = None) -> bool:
        """Tell whether capabilities for this may be granted; None asks about the resource as a whole."""
        return (
            "capability" in self.kinds
            and (self.resources is None or resource in self.resources)
            and (self.tools is None or tool is None or tool in self.tools)
        )


_ANYTHING: Final = Remit()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIssuers:
    """Issuer DIDs and what each may grant, at one moment."""

    issuers: Mapping[str, tuple[Remit, ...]] = field(hash=False)
    foreign: frozenset[str] = frozenset()  # those of other deployments, which know of no agent or person here
    organisations: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )  # that share our deployment, by the DID they issue under
    documents: Documents = field(
        default_factory=lambda: NO_DOCUMENTS, hash=False, repr=False
    )  # of those named by a did:web

    @classmethod
    def of(cls, *issuers: str) -> TrustedIssuers:
        """Trust `issuers` for everything."""
        return cls(issuers=MappingProxyType(dict.fromkeys(issuers, (_ANYTHING,))))

    @classmethod
    def for_resources(cls, issuers: Mapping[str, Iterable[str] | None]) -> TrustedIssuers:
        """Trust each issuer for the resources it is mapped to; None for every resource."""
        limited = {
            name: (_ANYTHING if allowed is None else Remit(resources=frozenset(allowed)),)
            for name, allowed in issuers.items()
        }
        return cls(issuers=MappingProxyType(limited))

    def current(self, _now: datetime) -> TrustedIssuers:
        """Return this: it does not change, so it is a `TrustSource` too."""
        return self

    def require(self, issuer: str, resources: Iterable[str] = ()) -> None:
        """Return when `issuer` may grant something at all of `resources`.

        An unknown issuer and a known one outside its remit are refused alike.
        Raises: UntrustedIssuer.
        """
        remits = self._remits(issuer)
        beyond = [name for name in resources if not any(remit.allows(name) for remit in remits)]
        if beyond:
            raise UntrustedIssuer(f"{issuer} may not grant {', '.join(sorted(beyond)[:8])}")

    def require_grant(
        self, issuer: str, capabilities: Iterable[Capability], *, names_somebody: bool, origins: Iterable[str]
    ) -> None:
        """Return when `issuer` may grant all of `capabilities`, name a principal if it does, and keep its status there.

        Every tool at every resource must be within one line of trust: lines are not mixed.
        Raises: UntrustedIssuer.
        """
        remits = self._remits(issuer)
        if _ANYTHING in remits:
            return
        for held in capabilities:
            for resource in held.resources:
                for tool in held.tools:
                    if not any(remit.allows(resource, tool) for remit in remits):
                        raise UntrustedIssuer(f"{issuer} may not grant {tool} at {resource}")
        if names_somebody and not any("identity" in remit.kinds for remit in remits):
            # Its "smith" is not ours: a person is spoken for by the issuers that may say who people are (DEL-11).
            raise UntrustedIssuer(f"{issuer} may not say on whose behalf an agent acts")
        for origin in origins:
            if not any("status" in remit.kinds and _is_within(origin, remit.origins) for remit in remits):
                raise UntrustedIssuer(f"{issuer} may not keep its status at {origin[:200]}")

    def require_status(self, issuer: str, url: str) -> None:
        """Return when `issuer` may say at `url` what was taken back.

        Raises: UntrustedIssuer.
        """
        origin = origin_of(url)
        if not any("status" in remit.kinds and _is_within(origin, remit.origins) for remit in self._remits(issuer)):
            raise UntrustedIssuer(f"{issuer} may not keep its status at {origin[:200]}")

    def is_foreign(self, issuer: str) -> bool:
        """Tell whether an issuer is another deployment's."""
        return issuer in self.foreign

    def organisation_of(self, issuer: str) -> str | None:
        """Return which organisation of our deployment issues under a DID; None for its own, and for others."""
        return self.organisations.get(issuer)

    def _remits(self, issuer: str) -> tuple[Remit, ...]:
        remits = self.issuers.get(issuer)
        if not remits:
            raise UntrustedIssuer(f"{issuer} is not in the trust list")
        return remits


class TrustSource(Protocol):
    """Whom we trust now, asked at each decision."""

    def current(self, now: datetime) -> TrustedIssuers:
        """Return who is trusted for what at this moment; what cannot be known any more is not in it."""
        ...


def origin_of(url: str) -> str:
    """Return scheme, host and port of an address, as they are written."""
    return "/".join(url.split("/", 3)[:3])


def _is_within(origin: str, allowed: frozenset[str] | None) -> bool:
    return allowed is None or origin in allowed
