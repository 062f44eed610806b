"""Cursors of the issuer's lists: opaque, authenticated, and good for one tenant and one question alone."""

from __future__ import annotations

import pytest

from did_agent.encoding import base64url
from did_agent.errors import InvalidParameter
from did_agent.keys.ed25519 import SigningKey
from issuer.api.cursors import Cursors

CURSORS = Cursors.of(SigningKey.from_seed(b"c" * 32))
QUERY = {"state": "active", "name": None}


def test_a_cursor_leads_back_to_its_position() -> None:
    made = CURSORS.make(["urn:uuid:1", 7], organisation="home", query=QUERY)
    assert CURSORS.read(made, organisation="home", query={"state": "active"}) == ["urn:uuid:1", 7]


@pytest.mark.req("WEB-07")
def test_a_cursor_is_for_its_tenant_its_question_and_its_issuer_alone() -> None:
    made = CURSORS.make(["a"], organisation="home", query=QUERY)
    other = Cursors.of(SigningKey.from_seed(b"d" * 32))
    for cursors, organisation, query in (
        (CURSORS, "acme", QUERY),
        (CURSORS, "home", {"state": "suspended"}),
        (CURSORS, "home", {}),
        (other, "home", QUERY),
    ):
        with pytest.raises(InvalidParameter):
            cursors.read(made, organisation=organisation, query=query)


@pytest.mark.req("WEB-07")
@pytest.mark.parametrize(
    "spoil", [lambda _: "", lambda t: t[:-2], lambda t: t + "A", lambda _: "x" * 2_000, lambda _: "é"]
)
def test_a_cursor_that_was_touched_is_refused(spoil: object) -> None:
    made = CURSORS.make(["a"], organisation="home", query=QUERY)
    assert callable(spoil)
    with pytest.raises(InvalidParameter):
        CURSORS.read(spoil(made), organisation="home", query=QUERY)
    raw = bytearray(base64url.decode(made))
    raw[-1] ^= 1
    with pytest.raises(InvalidParameter):
        CURSORS.read(base64url.encode(bytes(raw)), organisation="home", query=QUERY)
