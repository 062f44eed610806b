"""What the guard of a resource costs, in one run with FastMCP's own verifier of tokens.

python benchmarks/guard.py [--rounds N] [--calls N] [--only http,process,limits,idle] [--postgres URL] [--idle N]
                           [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

import guard_http
import guard_idle
import guard_limits
import guard_process
from token_processes import CORE, leave_cores_to
from token_servers import bridge

PARTS: Final = ("process", "http", "limits", "idle")


def main() -> int:
    """Measure and print; the numbers decide nothing here."""
    options = _options()
    found: dict[str, Any] = {}
    everywhere = os.sched_getaffinity(0)
    leave_cores_to(1)
    with bridge() as at:
        if "http" in options.only:
            found["http"] = guard_http.measure(at, rounds=options.rounds, count=options.calls)
            guard_http.show(found["http"])
        if "idle" in options.only:
            found["idle"] = guard_idle.measure(at, idle=options.idle, count=options.calls)
            guard_idle.show(found["idle"])
        os.sched_setaffinity(0, {CORE} & everywhere or everywhere)
        if "process" in options.only:
            found["process"] = guard_process.measure(at, rounds=options.rounds, count=options.calls)
            guard_process.show(found["process"])
        if "limits" in options.only:
            found["limits"] = guard_limits.measure(at.folder, postgres=options.postgres, count=options.calls)
            guard_limits.show(found["limits"])
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=400, help="of each kind and round")
    parser.add_argument("--only", type=_parts, default=PARTS, metavar="PARTS", help=",".join(PARTS))
    parser.add_argument("--postgres", metavar="URL", help="spend limits there too, in a new database")
    parser.add_argument("--idle", type=int, default=10_000, metavar="N", help="connections that say nothing")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def _parts(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(","))
    if unknown := set(parts) - set(PARTS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return parts


if __name__ == "__main__":
    sys.exit(main())
