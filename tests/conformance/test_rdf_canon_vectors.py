"""The official vectors of RDFC-1.0: canonical form, map of labels, and graphs that must be refused in time."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from did_agent.encoding.rdf import line, parse_nquads
from did_agent.encoding.rdfc import Bounds, canonicalize
from did_agent.errors import TooComplex

SHARED = Path(os.environ.get("DID_AGENT_SHARED", Path(__file__).parents[3] / "shared"))
FOLDER = SHARED / "vectors" / "rdf-canon"
SUITE = Bounds(alike=100, work=20_000)  # the suite is made of graphs that no credential looks like

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no official vectors at {FOLDER}; set DID_AGENT_SHARED to the folder that holds them"
)


def entries() -> list[dict[str, str]]:
    if not FOLDER.is_dir():
        return []
    listed = json.loads((FOLDER / "manifest.jsonld").read_text())["entries"]
    return [entry for entry in listed if (FOLDER / entry["action"]).is_file()]


def hash_of(entry: dict[str, str]) -> str:
    return entry.get("hashAlgorithm", "SHA256").lower().replace("-", "")


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry["id"].rsplit("#", 1)[-1])
def test_vector(entry: dict[str, str]) -> None:
    quads = parse_nquads((FOLDER / entry["action"]).read_text("utf-8"))
    kind = entry["type"].rsplit(":", 1)[-1]
    if kind == "RDFC10NegativeEvalTest":
        with pytest.raises(TooComplex):
            canonicalize(quads)
        return
    found = canonicalize(quads, hash_of(entry), SUITE)
    expected = (FOLDER / entry["result"]).read_text("utf-8")
    if kind == "RDFC10MapTest":
        assert {old[2:]: new[2:] for old, new in found.labels.items()} == json.loads(expected)
    else:
        assert "".join(found.lines) == expected
        assert [line(quad) for quad in parse_nquads(expected)] == [f"{row}\n" for row in expected.split("\n") if row]


def test_every_file_was_used() -> None:
    assert len(entries()) >= 30
