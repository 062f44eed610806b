"""Tells people that they are asked, by a line in the bridge's log: never the agent's own words."""

from __future__ import annotations

import logging
from typing import Final

from bridge.model.backchannel import Asking

_log: Final = logging.getLogger("did_agent.bridge")


class LogNotice:
    """Implements `bridge.ports.backchannel.Notice`."""

    def asked(self, asking: Asking) -> None:
        """Say who is asked by whom."""
        _log.info("%r is asked by %s at %s: see /account", asking.username, asking.agent, asking.resource)
