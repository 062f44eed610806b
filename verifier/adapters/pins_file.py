"""The pins of a data folder, read again when the file changes, and the lists of tools a guard saw, beside them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from did_agent.adapters.tool_pins import Listing, load_pins, save_listing
from did_agent.errors import DidAgentError
from did_agent.tokens.tool_pins import Definition, Pin, ToolPins

_log: Final = logging.getLogger("did_agent.pins")
LOOK_EVERY: Final = 0.05  # s; a call asks several times, and a look costs microseconds
_NOTHING: Final[Mapping[str, Pin]] = {}

_Mark = tuple[int, int, int]  # what of a file changes when it is replaced


class PinsFile:
    """What operators approved at one server; implements `verifier.ports.ToolPins`.

    The last approvals that held stay in force when a file comes that does not hold, is older, or is gone; where there
    are none yet, nothing counts as approved.  A deleted file is no approval of everything.
    """

    def __init__(
        self,
        path: Path,
        *,
        operators: Iterable[str],
        resource: str,
        is_required: bool,
        look_every: float = LOOK_EVERY,
    ) -> None:
        self._look_every, self._look_at = look_every, 0.0
        self._path, self._operators, self._resource = path, frozenset(operators), resource
        self._without = _NOTHING if is_required else None  # what no word about our tools means
        self._mark: _Mark | None = None
        self._good: ToolPins | None = None
        self._approved: Mapping[str, Pin] | None = self._without

    def approved(self) -> Mapping[str, Pin] | None:
        """Return the approved tools by name; None where nothing is pinned."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + self._look_every
            mark = self._look()
            if mark != self._mark:
                self._mark = mark
                self._read()
        return self._approved

    def _look(self) -> _Mark | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError:
            return (0, 0, 0)  # it is there, and cannot be looked at: `_read` says why
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> None:
        try:
            pins = load_pins(self._path, operators=self._operators)
        except DidAgentError as error:
            _log.error("%s is not believed (%s); %s", self._path, error.detail or error.code, self._stays())
            if self._good is None:
                self._approved = _NOTHING
            return
        if pins is None or (self._good is not None and pins.version < self._good.version):
            if self._good is not None:
                _log.error("%s is gone, or older than what is known; %s", self._path, self._stays())
            elif pins is None:
                self._approved = self._without
            return
        before, self._good = self._good, pins
        mine = pins.servers.get(self._resource)
        had = before is not None and self._resource in before.servers
        self._approved = mine if mine is not None else _NOTHING if had else self._without
        _log.info("tool pins: version %s of %s, %s tools here", pins.version, pins.by, len(self._approved or ()))

    def _stays(self) -> str:
        if self._good is None:
            return "nothing counts as approved"
        return f"version {self._good.version} stays in force"


class SeenTools:
    """Writes down what the server's tools are, for the operator to look at; implements `verifier.ports.Sightings`."""

    def __init__(self, path: Path, *, resource: str) -> None:
        self._path, self._resource = path, resource

    def keep(self, tools: Sequence[Definition]) -> None:
        """Write the list; a folder that cannot be written costs only that convenience."""
        try:
            save_listing(self._path, Listing(resource=self._resource, tools=tools))
        except OSError as error:
            _log.warning("the tools seen are not written down: %s", error.strerror)
