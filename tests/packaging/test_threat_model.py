"""The threat model and the tests speak of the same threats, in both directions, and of all there are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| ([A-Z]{3,}(?:-\d{2})?) \|", re.MULTILINE)
MARK = re.compile(r"mark\.req\(([^)]*)\)")
NAME = re.compile(r'"([A-Z]{3,}(?:-\d{2})?)"')

# Every threat of the families the authorization server answers for; none may be left out of the model or the tests.
FAMILIES = {"TOK": 15, "OAU": 17, "DEL": 14, "WEB": 11, "KEY": 6}
# What a test says that sees a refusal.
REFUSAL = re.compile(
    r"raises\(|refused\(|refus|\b4\d\d\b|['\"]error['\"]|not in |is None|== \[\]|assert not |inactive|INACTIVE|ended|dead|False"
)


def modelled() -> list[str]:
    return [found for found in ROW.findall((ROOT / "docs" / "threat-model.md").read_text()) if found != "ID"]


def ids_in_tests() -> set[str]:
    texts = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    return {name for text in texts for mark in MARK.findall(text) for name in NAME.findall(mark)}


def of_families() -> list[str]:
    return [f"{family}-{number:02}" for family, most in FAMILIES.items() for number in range(1, most + 1)]


def marked() -> Iterator[tuple[str, str]]:
    """Yield each threat with the source of a test that is marked with it, be it by itself or by its module."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        if "mark.req(" not in text:
            continue
        tree = ast.parse(text)
        whole = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Assign) and _is_pytestmark(node)]
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                marks = [*whole, *(ast.unparse(one) for one in node.decorator_list)]
                source = ast.unparse(node)
                for name in {name for mark in marks for name in re.findall(r"'([A-Z]{3}-\d{2})'", mark)}:
                    yield name, source


def _is_pytestmark(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets)


def test_every_threat_has_a_test_and_every_test_a_threat() -> None:
    assert len(modelled()) == len(set(modelled())) > 60
    assert sorted(ids_in_tests()) == sorted(modelled())


def test_no_threat_of_the_authorization_server_is_left_out() -> None:
    assert [name for name in of_families() if name not in modelled()] == []


def test_each_of_them_has_a_test_that_sees_a_refusal() -> None:
    refusing = {name for name, source in marked() if REFUSAL.search(source)}
    assert [name for name in of_families() if name not in refusing] == []


@pytest.mark.parametrize("source", ["def test_it(): assert answer.status_code == 200", "def test_it(): pass"])
def test_an_honest_case_alone_is_no_refusal(source: str) -> None:
    assert not REFUSAL.search(source)


def test_the_places_it_names_exist() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text()
    for place in re.findall(r"`((?:did_agent|issuer|bridge|verifier|ledger|tests)/[^`]*)`", text):
        assert (ROOT / place).exists(), place
