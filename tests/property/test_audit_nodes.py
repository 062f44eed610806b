"""Proofs from kept nodes are those of RFC 9162 worked out the long way, at every size, and need few reads."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did_agent.audit.merkle import (
    TILE_HEIGHT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    is_included,
    leaf_hash,
    node_hash,
    root_by,
    root_of,
)
from did_agent.audit.nodes import (
    Nodes,
    Span,
    consistency_spans,
    edge_at,
    inclusion_spans,
    roots_of,
    runs_for,
)

MOST = 66_000  # leaves: two levels of kept nodes
LEAVES = [leaf_hash(b"%d" % number) for number in range(MOST)]


def kept(size: int) -> dict[tuple[int, int], bytes]:
    """The nodes a ledger keeps over the first leaves, row by row from the bottom."""
    row, level = LEAVES[:size], 0
    nodes = {(0, place): leaf for place, leaf in enumerate(row)}
    while len(row) > 1:
        row = [node_hash(row[place], row[place + 1]) for place in range(0, len(row) - 1, 2)]
        level += 1
        if level % TILE_HEIGHT == 0:
            nodes |= {(level, place): node for place, node in enumerate(row)}
    return nodes


NODES = kept(MOST)


def read(spans: list[Span]) -> Nodes:
    runs = runs_for(spans)
    assert all(run.last - run.first < 1 << TILE_HEIGHT for run in runs)
    assert len(runs) <= 6
    return {(run.level, place): NODES[run.level, place] for run in runs for place in range(run.first, run.last + 1)}


SIZES = st.one_of(st.integers(1, 700), st.sampled_from([255, 256, 257, 511, 512, 513, 1024]))


@pytest.mark.req("AUD-03")
@given(size=SIZES, place=st.integers(0, 2**20), old=st.integers(0, 2**20))
@settings(max_examples=150, deadline=None)
def test_proofs_are_those_of_the_standard(size: int, place: int, old: int) -> None:
    index, old = place % size, old % size + 1
    inclusion, consistency = inclusion_spans(index, size), consistency_spans(old, size)
    assert roots_of(inclusion, read(inclusion)) == inclusion_proof(LEAVES[:size], index)
    assert roots_of(consistency, read(consistency)) == consistency_proof(LEAVES[:size], old)
    whole = [Span(0, size)]
    assert roots_of(whole, read(whole)) == [root_of(LEAVES[:size])]
    assert edge_at(size, read(whole)).root() == root_of(LEAVES[:size])


@pytest.mark.req("AUD-03")
@given(place=st.integers(0, MOST - 1), old=st.integers(1, MOST), cut=st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_proofs_of_a_large_log_verify_and_a_changed_one_does_not(place: int, old: int, cut: int) -> None:
    root = edge_at(MOST, read([Span(0, MOST)])).root()
    path = roots_of(spans := inclusion_spans(place, MOST), read(spans))
    assert is_included(LEAVES[place], place, MOST, path, root)
    assert root_by(LEAVES[place], place, MOST, path[: cut % len(path)]) != root
    earlier = edge_at(old, read([Span(0, old)])).root()
    growth = roots_of(spans := consistency_spans(old, MOST), read(spans))
    assert is_consistent(old, MOST, earlier, root, growth)
    if growth:
        growth[cut % len(growth)] = leaf_hash(b"other")
        assert not is_consistent(old, MOST, earlier, root, growth)


@pytest.mark.req("AUD-03")
@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_a_log_that_grows_in_any_steps_keeps_the_same_nodes(sizes: list[int]) -> None:
    frontier, found = Frontier(), {}
    for more in sizes:
        frontier = Frontier(frontier.size, frontier.roots)
        found |= dict(frontier.extend(LEAVES[frontier.size : frontier.size + more]))
    assert found == {node: root for node, root in kept(frontier.size).items() if node[0]}


def test_there_are_no_spans_of_what_is_not_there() -> None:
    for index, size in ((-1, 3), (3, 3), (0, 0)):
        with pytest.raises(ValueError, match="leaf"):
            inclusion_spans(index, size)
    for old, new in ((0, 3), (4, 3)):
        with pytest.raises(ValueError, match="earlier"):
            consistency_spans(old, new)
    with pytest.raises(KeyError):
        roots_of([Span(0, 2)], {})
