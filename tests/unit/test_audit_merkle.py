"""The tree gives the roots other implementations give, and its proofs hold at every size."""

from __future__ import annotations

import pytest

from did_agent.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    is_included,
    leaf_hash,
    node_hash,
    root_of,
)

# The reference entries and roots that Certificate Transparency implementations share (RFC 6962, same hashing).
ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


@pytest.mark.req("AUD-03")
def test_the_roots_are_those_of_other_implementations() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for size, root in enumerate(ROOTS, start=1):
        assert root_of(LEAVES[:size]).hex() == root


@pytest.mark.req("AUD-03")
def test_a_node_can_not_pass_for_a_leaf() -> None:
    pair = LEAVES[0] + LEAVES[1]
    assert leaf_hash(pair) != node_hash(LEAVES[0], LEAVES[1])
    assert root_of([leaf_hash(pair)]) != root_of(LEAVES[:2])


@pytest.mark.req("AUD-03")
def test_every_leaf_of_every_small_tree_is_proved_and_no_other() -> None:
    for size in range(1, 18):
        leaves = [leaf_hash(bytes([number])) for number in range(size)]
        root = root_of(leaves)
        for index in range(size):
            proof = inclusion_proof(leaves, index)
            assert is_included(leaves[index], index, size, proof, root)
            assert not is_included(leaves[index], index, size, proof[:-1], root) or not proof
            assert not is_included(leaves[index], (index + 1) % size, size, proof, root) or size == 1
        assert not is_included(leaves[0], size, size, [], root)
        assert not is_included(leaves[0], -1, size, [], root)


@pytest.mark.req("AUD-03")
def test_every_earlier_tree_is_proved_and_a_shortened_or_longer_proof_is_not() -> None:
    for size in range(1, 18):
        leaves = [leaf_hash(bytes([number])) for number in range(size)]
        for old in range(1, size + 1):
            proof, before, after = consistency_proof(leaves, old), root_of(leaves[:old]), root_of(leaves)
            assert is_consistent(old, size, before, after, proof)
            assert not is_consistent(old, size, before, after, [*proof, b"x" * 32])
            assert not is_consistent(old, size, after, before, proof) or before == after
            if proof:
                assert not is_consistent(old, size, before, after, proof[:-1])
        assert not is_consistent(0, size, EMPTY_ROOT, root_of(leaves), [])
        assert not is_consistent(size + 1, size, EMPTY_ROOT, root_of(leaves), [])


def test_there_is_no_proof_of_what_is_not_there() -> None:
    for index in (-1, 8):
        with pytest.raises(ValueError, match="leaf"):
            inclusion_proof(LEAVES, index)
    for old in (0, 9):
        with pytest.raises(ValueError, match="earlier"):
            consistency_proof(LEAVES, old)


def test_a_frontier_keeps_a_hash_for_each_complete_subtree_only() -> None:
    frontier = Frontier()
    for leaf in LEAVES[:7]:
        frontier.append(leaf)
    assert len(frontier.roots) == 3
    assert frontier.roots[0] == root_of(LEAVES[:4])
    frontier.append(LEAVES[7])
    assert frontier.roots == (root_of(LEAVES),)
