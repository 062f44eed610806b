"""Whatever is put in the place of any part of a presentation, the answer is a refusal of ours and never a crash."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from did_agent.errors import DidAgentError
from did_agent.presentation.verify import ask
from tests.fakes.credentials import ALICE_DID, BOB_DID, ISSUER, expected, root_document, secure, verified
from tests.fakes.presentations import resigned, shown

ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    2**53 - 1,
    "",
    "x",
    "é\u2028",
    "did:key:z",
    "u",
    [],
    [[]],
    {},
    {"a": {}},
    ["x"],
]
odd = st.sampled_from(ODD)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every member and item below `node`."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for name, value in items for found in [(*path, name), *places(value, (*path, name))]]


def put(document: Any, path: tuple[Any, ...], value: Any) -> None:
    for name in path[:-1]:
        document = document[name]
    document[path[-1]] = value


SHOWN, ROOT = shown(), root_document()


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(places(SHOWN)), odd)
def test_a_changed_presentation_is_refused(path: tuple[Any, ...], value: Any) -> None:
    document = copy.deepcopy(SHOWN)
    put(document, path, value)
    assume(document != SHOWN)  # an empty object may be what was there already
    try:
        ask(document, expected())
    except DidAgentError:
        return
    raise AssertionError(f"accepted {value!r} at {path}")


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([path for path in places(SHOWN) if path[0] not in {"proof", "verifiableCredential"}]), odd)
def test_an_odd_presentation_signed_by_its_holder_is_read_or_refused(path: tuple[Any, ...], value: Any) -> None:
    with contextlib.suppress(DidAgentError):
        assert ask(resigned(lambda d: put(d, path, value)), expected()).holder == BOB_DID


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(places(ROOT)), odd)
def test_an_odd_credential_signed_by_its_issuer_is_read_or_refused(path: tuple[Any, ...], value: Any) -> None:
    document = copy.deepcopy(ROOT)
    put(document, path, value)
    with contextlib.suppress(DidAgentError):
        verified([secure(document, ISSUER)], holder=ALICE_DID)
