"""What a page says after a change.  Links name a sentence and never carry one, so nobody else can put words here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

SAID: Final[Mapping[str, str]] = MappingProxyType(
    {
        "suspended": "Suspended. Its tokens and credentials are refused from now on.",
        "resumed": "Active again.",
        "retired": "Retired for good. Nothing it holds is accepted any more.",
        "revoked": "Revoked. Tokens that were made from it are refused from now on.",
        "granted": "Granted.",
        "created": "Created.",
        "asked": "Asked for. Two people are needed: somebody else has to approve.",
        "approved": "Approved.",
        "denied": "Denied.",
        "published": "Published. Every door takes it up within a minute.",
        "stopped": "Stopped. Every door refuses what the switch covers.",
        "lifted": "Lifted.",
        "added": "Added.",
        "removed": "Removed.",
        "saved": "Saved.",
    }
)
