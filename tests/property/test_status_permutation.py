"""The secret order of a list: every place once, another order for every key, nothing of the counter left in it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did_agent.credential.permutation import Permutation

KEYS = st.binary(min_size=32, max_size=32)


@given(st.integers(1, 600), KEYS)
@settings(max_examples=60)
def test_it_is_a_bijection_on_lists_of_any_size(size: int, key: bytes) -> None:
    order = Permutation(size=size, key=key)
    assert sorted(order.place(position) for position in range(size)) == list(range(size))


@given(st.integers(131_072, 4_194_304), KEYS, st.sets(st.integers(0, 131_071), min_size=2, max_size=40))
@settings(max_examples=60)
def test_places_of_large_lists_are_inside_and_never_twice(size: int, key: bytes, positions: set[int]) -> None:
    order = Permutation(size=size, key=key)
    places = {order.place(position) for position in positions}
    assert len(places) == len(positions)
    assert all(0 <= place < size for place in places)


@given(st.sampled_from([1, 2, 131_072]), st.integers())
def test_there_is_no_place_outside_the_list(size: int, position: int) -> None:
    order = Permutation(size=size, key=bytes(32))
    if 0 <= position < size:
        assert 0 <= order.place(position) < size
        return
    with pytest.raises(ValueError, match="position"):
        order.place(position)


def test_neighbours_are_strangers_and_keys_give_other_orders() -> None:
    size, count = 131_072, 4_000
    order = [Permutation(size=size, key=b"a" * 32).place(position) for position in range(count)]
    steps = [later - earlier for earlier, later in zip(order, order[1:], strict=False)]
    assert len(set(steps)) > count * 0.95  # no stride by which the next place could be told
    assert 0.48 < sum(step > 0 for step in steps) / len(steps) < 0.52
    octants = [sum(place * 8 // size == part for place in order) / count for part in range(8)]
    assert all(0.1 < share < 0.15 for share in octants)
    other = [Permutation(size=size, key=b"b" * 32).place(position) for position in range(count)]
    assert sum(mine == theirs for mine, theirs in zip(order, other, strict=True)) < 5


def test_the_key_is_not_printed() -> None:
    assert "secret" not in repr(Permutation(size=8, key=b"secret" * 5))
