"""Which issuers may grant what: default deny, decided before anything is fetched (VCX-05)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from did_agent.errors import UntrustedIssuer


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIssuers:
    """Issuer DIDs and the resources each may grant; None means any resource of ours."""

    issuers: Mapping[str, frozenset[str] | None] = field(hash=False)

    @classmethod
    def of(cls, *issuers: str) -> TrustedIssuers:
        """Trust `issuers` for every resource."""
        return cls(issuers=MappingProxyType(dict.fromkeys(issuers)))

    @classmethod
    def for_resources(cls, issuers: Mapping[str, Iterable[str] | None]) -> TrustedIssuers:
        """Trust each issuer for the resources it is mapped to; None for every resource."""
        limited = {name: None if allowed is None else frozenset(allowed) for name, allowed in issuers.items()}
        return cls(issuers=MappingProxyType(limited))

    def require(self, issuer: str, resources: Iterable[str] = ()) -> None:
        """Return when `issuer` may grant all of `resources`.

        An unknown issuer and a known one outside its remit are refused alike.
        Raises: UntrustedIssuer.
        """
        if issuer not in self.issuers:
            raise UntrustedIssuer(f"{issuer} is not in the trust list")
        allowed = self.issuers[issuer]
        foreign = frozenset() if allowed is None else frozenset(resources) - allowed
        if foreign:
            raise UntrustedIssuer(f"{issuer} may not grant {', '.join(sorted(foreign))}")
