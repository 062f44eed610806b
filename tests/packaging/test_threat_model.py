"""The threat model and the tests speak of the same threats, in both directions."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| ([A-Z]{3,}(?:-\d{2})?) \|", re.MULTILINE)
MARK = re.compile(r"mark\.req\(([^)]*)\)")
NAME = re.compile(r'"([A-Z]{3,}(?:-\d{2})?)"')


def modelled() -> list[str]:
    return [found for found in ROW.findall((ROOT / "docs" / "threat-model.md").read_text()) if found != "ID"]


def ids_in_tests() -> set[str]:
    texts = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    return {name for text in texts for mark in MARK.findall(text) for name in NAME.findall(mark)}


def test_every_threat_has_a_test_and_every_test_a_threat() -> None:
    assert len(modelled()) == len(set(modelled())) > 60
    assert sorted(ids_in_tests()) == sorted(modelled())


def test_the_places_it_names_exist() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text()
    for place in re.findall(r"`((?:did_agent|issuer|bridge|verifier|ledger|tests)/[^`]*)`", text):
        assert (ROOT / place).exists(), place
