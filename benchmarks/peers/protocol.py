"""The line protocol of a peer on Python: a number asks for that many rounds, a JSON line answers with times."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from timing import timed

MATERIAL: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text("utf-8"))


def serve(measures: Mapping[str, Callable[[], object]]) -> None:
    """Answer until the input ends; each measure raises unless it succeeded."""
    for work in measures.values():
        work()
    print(json.dumps({"ready": list(measures)}), flush=True)
    for line in sys.stdin:
        answer = {name: timed(work, int(line)) for name, work in measures.items()}
        print(json.dumps(answer), flush=True)
