"""An evidence bundle says what its signatures say: any change of it is found, also by one who makes the digest fit."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did_agent.audit.bundle import read_bundle, require_whole
from did_agent.audit.stranger import Pins, Verdict, check_bundle
from did_agent.errors import BadBundle
from tests.fakes.bundles import bundle, file, resealed

FILE = file()
NOBODY = Pins()
UNSIGNED = {"digest", "made", "about", "bridge", "form"}


def check(raw: bytes, pins: Pins = NOBODY) -> Verdict:
    verdict = check_bundle(read_bundle(raw), pins)
    require_whole(raw)
    return verdict


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every value of a tree that is no container."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        yield path
    for name, one in inner or ():
        yield from places(one, (*path, name))


SIGNED = [path for path in places(json.loads(FILE)) if path[0] not in UNSIGNED]


def changed(value: Any, position: int, character: str) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if value is None:
        return character
    place = position % len(value)
    return value[:place] + character + value[place + 1 :]


def test_the_untouched_file_verifies_and_says_what_is_proven() -> None:
    verdict = check(FILE)
    assert verdict.rows == 2
    assert [found.weight for found in verdict.findings].count("proven") == 5
    assert {found.weight for found in verdict.findings} == {"proven", "said"}


@pytest.mark.req("AUD-03")
@given(place=st.integers(0, len(FILE) - 1), bit=st.integers(0, 7))
@settings(max_examples=600, deadline=None)
def test_no_bit_of_the_file_can_be_flipped(place: int, bit: int) -> None:
    spoiled = bytearray(FILE)
    spoiled[place] ^= 1 << bit
    with pytest.raises(BadBundle):
        check(bytes(spoiled))


@pytest.mark.req("AUD-03")
@given(place=st.integers(0, len(FILE)), what=st.sampled_from([b" ", b"\n", b"\t", b"", b"0", b'"']))
@settings(max_examples=150, deadline=None)
def test_nothing_can_be_put_in_or_cut_off_not_even_white_space(place: int, what: bytes) -> None:
    spoiled = FILE[:place] + what + FILE[place:] if what else FILE[:place]
    if spoiled != FILE:
        with pytest.raises(BadBundle):
            check(spoiled)


@pytest.mark.req("AUD-03", "DEL-07")
@given(path=st.sampled_from(SIGNED), position=st.integers(0, 200), character=st.sampled_from("AZaz09:-=~ é"))
@settings(max_examples=400, deadline=None)
def test_what_is_signed_cannot_be_changed_even_with_a_digest_that_fits(
    path: tuple[Any, ...], position: int, character: str
) -> None:
    members = json.loads(FILE)
    holder = members
    for name in path[:-1]:
        holder = holder[name]
    before = holder[path[-1]]
    holder[path[-1]] = changed(before, position, character)
    if holder[path[-1]] == before:
        return
    with pytest.raises(BadBundle):
        check(resealed(members))


@pytest.mark.req("AUD-03")
@given(path=st.sampled_from(SIGNED), data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_member_of_a_signed_part_can_be_left_out(path: tuple[Any, ...], data: st.DataObject) -> None:
    members = json.loads(FILE)
    holder = members
    depth = data.draw(st.integers(2, max(2, len(path) - 1)))
    for name in path[:depth]:
        holder = holder[name]
    if isinstance(holder, list) and path[0] == "lists":
        return
    if not isinstance(holder, dict | list) or not holder or path[:2] == ("log", "cosignatures"):
        return
    name = path[depth] if len(path) > depth else next(iter(holder))
    kept = copy.deepcopy(holder)
    del holder[name]
    assert kept != holder
    with pytest.raises(BadBundle):
        check(resealed(members))


def test_what_was_left_out_as_a_whole_is_said_to_be_missing() -> None:
    bare = check_bundle(bundle(evidence={}, lists=()), NOBODY)
    assert [found.what for found in bare.findings if found.weight == "unknown"]
    assert not bare.anchors.issuers
    no_lists = check_bundle(bundle(lists=()), NOBODY)
    assert any("whether" in found.what for found in no_lists.findings if found.weight == "unknown")


def containers(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every value of a tree, those that hold others too."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield from containers(one, (*path, name))


EVERYWHERE = [path for path in containers(json.loads(FILE)) if path and path != ("digest",)]
ODD: list[Any] = [None, 0, -1, 1.5, True, "", "x", [], {}, [[]], {"a": 1}, [None], 2**53 - 1, "\u0000", "did:web:x"]


@given(path=st.sampled_from(EVERYWHERE), odd=st.sampled_from(ODD))
@settings(max_examples=400, deadline=None)
def test_whatever_stands_in_a_file_the_answer_is_a_verdict_or_one_error(path: tuple[Any, ...], odd: Any) -> None:
    members = json.loads(FILE)
    holder = members
    for name in path[:-1]:
        holder = holder[name]
    if holder[path[-1]] == odd:
        return
    holder[path[-1]] = odd
    try:
        check(resealed(members))
    except BadBundle:
        return
    assert path[0] in {"made", "bridge", "lists", "evidence", "did_documents"}
