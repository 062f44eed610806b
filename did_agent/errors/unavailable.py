"""What could not be found out."""

from __future__ import annotations

from did_agent.errors.families import Unavailable


class StatusUnavailable(Unavailable):
    code = "status_unavailable"


class KeysUnavailable(Unavailable):
    code = "keys_unavailable"


class PeerUnavailable(Unavailable):
    code = "peer_unavailable"


class StoreUnavailable(Unavailable):
    code = "store_unavailable"


class AuditUnavailable(Unavailable):
    code = "audit_unavailable"


class PolicyUnavailable(Unavailable):
    code = "policy_unavailable"


class PolicyStale(PolicyUnavailable):
    code = "policy_stale"
