"""The quick canonical form of strings is the canonical form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from did_agent.encoding.jcs import canonicalize_strings, reference
from did_agent.errors import BadEncoding

TEXT = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    ["\U0001f600", "\ufb33", '":0.5', ",1e9", "["]
)
LEAF = st.none() | TEXT
VALUES = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4))


@given(VALUES)
def test_strings_and_null_have_one_form(value: object) -> None:
    assert canonicalize_strings(value) == reference(value)


def test_half_a_character_has_none() -> None:
    with pytest.raises(BadEncoding):
        canonicalize_strings({"a": "\ud800"})
