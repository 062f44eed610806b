"""The story of `make demo`, as a user sees it."""

from __future__ import annotations

import json
import subprocess

from processes import COMMAND


def test_the_demo_walks_every_chapter_and_leaves_nothing_running() -> None:
    done = subprocess.run([*COMMAND, "demo", "--json"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    chapters = json.loads(done.stdout)
    assert [chapter["chapter"] for chapter in chapters] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert all(step["ok"] for chapter in chapters for step in chapter["steps"])
    assert sum(len(chapter["steps"]) for chapter in chapters) >= 22
    refused = [step for chapter in chapters for step in chapter["steps"] if step["result"].startswith("Refused")]
    assert len(refused) == 4
    assert "no capability covers it; user smith may" in refused[1]["result"]
