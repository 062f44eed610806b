"""One thing that `did-agent doctor` looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was looked at, and what to do about it where it is not well."""

    what: str
    ok: bool
    says: str
    warns: bool = False  # well for now, but somebody should know

    @property
    def mark(self) -> str:
        """What stands before it in a list."""
        return "!  " if self.ok and self.warns else "ok " if self.ok else "NO "

    def members(self) -> dict[str, Any]:
        """Return it as JSON."""
        level = "problem" if not self.ok else "warning" if self.warns else "ok"
        return {"what": self.what, "ok": self.ok, "level": level, "says": self.says}
