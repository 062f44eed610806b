"""The blocking clients have exactly the methods of the async ones, and types that say so."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from did_agent.client.administration import Administration
from did_agent.client.administration_blocking import BlockingAdministration

ASYNC = Administration("https://issuer.example", auth=httpx2.Auth())
BLOCKING = BlockingAdministration("https://issuer.example", auth=httpx2.Auth())
TOPICS = sorted(vars(ASYNC))


def methods(client: object) -> dict[str, Callable[..., Any]]:
    return {name: found for name, found in vars(type(client)).items() if not name.startswith("_") and callable(found)}


def asks(method: Callable[..., Any]) -> bool:
    iterates = str(inspect.signature(method).return_annotation).startswith("AsyncIterator")
    return inspect.iscoroutinefunction(method) or iterates


def test_every_topic_is_there() -> None:
    assert sorted(set(vars(BLOCKING)) - {"client"}) == TOPICS
    assert len(TOPICS) > 5


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_has_the_same_methods_for_both_kinds_of_programs(topic: str) -> None:
    ours, theirs = methods(getattr(ASYNC, topic)), methods(getattr(BLOCKING, topic))
    assert set(theirs) == {name for name, method in ours.items() if asks(method)}
    assert getattr(BLOCKING, topic).client is getattr(BLOCKING.client, topic)
    for name, waiting in theirs.items():
        assert waiting.__doc__ == ours[name].__doc__
        assert not inspect.iscoroutinefunction(waiting)
        assert inspect.signature(ours[name]).return_annotation is not inspect.Signature.empty
