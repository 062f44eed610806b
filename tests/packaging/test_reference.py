"""The reference is made from the code and is the one that was committed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_committed_reference_is_what_the_code_says() -> None:
    # In a process of its own: which error classes exist depends on which modules are loaded.
    code = "import json,runpy; print(json.dumps(runpy.run_path('tests/packaging/reference.py')['pages']()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    import json

    for name, text in json.loads(done.stdout).items():
        committed = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
        assert committed == text, f"{name} is out of date: run `python tests/packaging/reference.py`"
