"""What may be said of an agent: the words it is found by, its labels, and the judgement of the whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from did_agent.errors import InsufficientScope, InvalidParameter, StateConflict
from issuer.adapters.news import fitting
from issuer.description import (
    MAX_WORDS,
    described,
    require_agent,
    require_label,
    require_placed,
    words_in,
    words_of,
)
from issuer.model import LIFECYCLE, Agent, Operator, change_between
from issuer.model.registry import Description

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MANAGER = Operator(request_id="r", roles=frozenset({"manager"}), principal="did:key:m")
SPONSOR = Operator(request_id="r", roles=frozenset({"sponsor"}), principal="did:key:s")


def agent(**changes: Any) -> Agent:
    values: dict[str, Any] = {
        "agent_id": "urn:uuid:1",
        "name": "Stock keeper",
        "sponsor": "Finance",
        "owner": "did:key:s",
        "description": "Counts the flour_bags, twice",
        "metadata": {},
        "redirect_uris": (),
        "groups": ("night",),
        "state": "active",
        "did": "did:key:z1",
        "created": NOW,
        "changed": NOW,
        **changes,
    }
    return Agent(**values)


def test_words_are_compared_without_case_form_or_punctuation() -> None:
    assert words_in("Über ﬂour_bags, ÜBER") == ["über", "flour", "bags"]
    assert words_of(agent()) == {"stock", "keeper", "counts", "the", "flour", "bags", "twice", "finance"}
    many = agent(description=" ".join(f"word{number}" for number in range(60)))
    assert len(words_of(many)) == MAX_WORDS
    assert words_in("...") == []


@pytest.mark.req("WEB-08")
@pytest.mark.parametrize("label", ["a", "eu-west", "9.x_y:z", "a" * 64])
def test_a_label_is_plain(label: str) -> None:
    assert require_label("tags", label) == label


@pytest.mark.req("WEB-08")
@pytest.mark.parametrize("label", ["", "A", "-a", "a b", "a" * 65, "ä", "a\n", "a/b"])
def test_what_is_no_label_is_refused(label: str) -> None:
    with pytest.raises(InvalidParameter):
        require_label("tags", label)


@pytest.mark.req("WEB-03")
def test_the_result_is_judged_whole() -> None:
    grown = agent(tags=tuple(f"t{number}" for number in range(16)))
    assert described(grown, Description(description="fine"), by=MANAGER).description == "fine"
    # What was kept before a rule was made stops the next change too, whatever that names.
    with pytest.raises(InvalidParameter):
        described(replace(grown, tags=(*grown.tags, "t16")), Description(description="fine"), by=MANAGER)
    with pytest.raises(InvalidParameter):
        require_agent(agent(sponsor="  "))
    with pytest.raises(InvalidParameter):
        require_agent(agent(tags=("a", "a")))
    assert described(agent(), Description(tags=["b", "a", "b"]), by=MANAGER).tags == ("a", "b")


@pytest.mark.req("WEB-03", "WEB-04")
def test_a_sponsor_says_neither_who_answers_nor_the_groups() -> None:
    assert described(agent(), Description(sponsor="Finance", groups=["night"]), by=SPONSOR) == agent()
    for said in (Description(sponsor="Other"), Description(groups=[]), Description(groups=["night", "day"])):
        assert described(agent(), said, by=MANAGER) != agent()
        with pytest.raises(InsufficientScope):
            described(agent(), said, by=SPONSOR)
    assert require_placed(agent(groups=()), by=SPONSOR).groups == ()
    assert require_placed(agent(), by=MANAGER).groups == ("night",)
    with pytest.raises(InsufficientScope):
        require_placed(agent(), by=SPONSOR)


@pytest.mark.req("REV-03")
def test_a_retired_agent_is_closed_and_states_change_by_the_table_alone() -> None:
    for state in ("pending", "active", "suspended"):
        assert described(agent(state=state), Description(description="x"), by=MANAGER).state == state
    with pytest.raises(StateConflict):
        described(agent(state="retired"), Description(description="x"), by=MANAGER)
    for (before, change), after in LIFECYCLE.items():
        assert change_between(before, after) == change
    for before, after in (("retired", "active"), ("pending", "suspended"), ("retired", "pending")):
        with pytest.raises(StateConflict):
            change_between(before, after)


def test_a_request_takes_what_fits_and_at_least_one() -> None:
    assert list(fitting(["a" * 100_000, "b" * 100_000, "c" * 100_000])) == ["a" * 100_000, "b" * 100_000]
    assert list(fitting(["a" * 300_000, "b"])) == ["a" * 300_000]
    assert list(fitting([])) == []
