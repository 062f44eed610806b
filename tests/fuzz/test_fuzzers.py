"""Fuzzers of everything that strangers' bytes reach: no exception but ours, no input above 250 ms of processor time.

Each target runs for DID_AGENT_FUZZ_SECONDS (2), or for a minute with DID_AGENT_NIGHTLY=1.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import targets

FOLDER = Path(__file__).parent
SECONDS = 60 if os.environ.get("DID_AGENT_NIGHTLY") else int(os.environ.get("DID_AGENT_FUZZ_SECONDS", "2"))
SPARE = 120  # seconds to start, and to try the seeds


@pytest.fixture
def fuzzer() -> None:
    if importlib.util.find_spec("atheris") is None:
        if os.environ.get("CI"):
            pytest.fail("atheris is not installed")
        pytest.skip("atheris is not installed: it has no build for this platform")


@pytest.mark.req("LIM-01", "VCX-09")
@pytest.mark.parametrize("target", sorted(targets.TARGETS))
def test_no_input_leaves_the_target_or_takes_long(target: str, fuzzer: None, tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "run.py"), target, "--seconds", str(SECONDS), "--findings", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + SPARE, cwd=FOLDER.parents[1])
    found = [path.read_bytes()[:2_000] for path in tmp_path.iterdir()]
    assert done.returncode == 0, f"{done.stderr[-3_000:]}\n{found}"
