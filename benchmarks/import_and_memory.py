"""What the verifier costs before it does anything: import time, modules, and the peak memory of one large presentation.

    python benchmarks/import_and_memory.py [--runs N] [--json FILE]

Each number is the median over fresh processes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any, Final

from material import large

from did_agent.clock import format_timestamp, system_clock
from did_agent.credential.model import MAX_CREDENTIAL

MAX_IMPORT_MS: Final = 150
MAX_MEMORY_MB: Final = 20
FORBIDDEN: Final = ("fastapi", "sqlalchemy", "pyld")

_IMPORT: Final = """
import sys, time
begun, burnt = time.perf_counter(), time.process_time()
import verifier
wall, cpu = time.perf_counter() - begun, time.process_time() - burnt
import json
modules = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps({"wall": wall * 1e3, "cpu": cpu * 1e3, "modules": modules}))
"""

# What a running guard has loaded; `verifier` alone is a name with nothing behind it.
_IMPORT_GUARD: Final = _IMPORT.replace("import verifier\n", "import verifier, verifier.mcp, verifier.service\n")

# The peak is read from the kernel, which counts native memory too; it is reset after everything is loaded.
_MEMORY: Final = """
import gc, json, sys
from pathlib import Path
sys.path.insert(0, FOLDER)
from ours import judged
from did_agent.encoding.timestamp import parse_timestamp as moment
now, small, text = sys.stdin.readline().strip(), sys.stdin.readline(), sys.stdin.readline()
judged(small, moment(now))
gc.collect()
def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])
Path("/proc/self/clear_refs").write_text("5")
idle = status("VmRSS")
judged(text, moment(now))
print(json.dumps({"bytes": len(text), "idle": idle / 1024, "above": (status("VmHWM") - idle) / 1024}))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    report: dict[str, Any] = {}
    now = system_clock()
    for name, program in (("import verifier", _IMPORT), ("import verifier.mcp, verifier.service", _IMPORT_GUARD)):
        taken = _runs(program, chosen.runs)
        loaded = sorted(set(FORBIDDEN) & set(taken[0]["modules"]))
        report[name] = {clock: round(median(run[clock] for run in taken), 1) for clock in ("wall", "cpu")}
        report[name]["loads what it must not"] = loaded
        print(
            f"{name}: {report[name]['wall']} ms, cpu {report[name]['cpu']} ms, loads {loaded or 'none'} of {FORBIDDEN}"
        )
        print(
            f"    target <= {MAX_IMPORT_MS} ms, none: {_verdict(report[name]['wall'] <= MAX_IMPORT_MS and not loaded)}"
        )
    for form in ("jcs", "rdfc"):
        setting = f"FOLDER, FORM = {str(Path(__file__).parent)!r}, {form!r}\n"
        given = "\n".join([format_timestamp(now), large(form, now, 2_048), large(form, now, MAX_CREDENTIAL), ""])
        taken = _runs(setting + _MEMORY, chosen.runs, given)
        above = round(median(run["above"] for run in taken), 1)
        report[f"memory {form}"] = {"MB above idle": above, "bytes": taken[0]["bytes"], "idle MB": taken[0]["idle"]}
        print(f"verify a presentation of {taken[0]['bytes']} bytes, {form}: {above} MB above idle")
        print(f"    target <= {MAX_MEMORY_MB} MB: {_verdict(above <= MAX_MEMORY_MB)}")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


def _runs(program: str, times: int, given: str = "") -> list[dict[str, Any]]:
    command = [sys.executable, "-c", program]
    # The first run fills the caches of byte code and files and does not count.
    return [
        json.loads(subprocess.run(command, input=given, check=True, capture_output=True, text=True).stdout)
        for _ in range(times + 1)
    ][1:]


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


if __name__ == "__main__":
    main()
