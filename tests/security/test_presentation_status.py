"""Presentations and status: what is revoked, suspended or cannot be known is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from did_agent.clock import format_timestamp
from did_agent.credential.status import VerifiedStatusList
from did_agent.credential.trust import TrustedIssuers
from did_agent.errors import (
    Revoked,
    StatusUnavailable,
    Suspended,
)
from did_agent.presentation.verify import ask, judge
from tests.fakes.credentials import (
    ISSUER_DID,
    MALLORY_DID,
    NOW,
    REVOCATION_URL,
    TRUSTED,
    expected,
    stamp,
    statuses,
)
from tests.fakes.presentations import shown


@pytest.mark.req("VCX-10", "REV-03")
def test_a_revoked_or_suspended_root_ends_its_children() -> None:
    asked = ask(shown(), expected())
    judge(asked, statuses(revoked=[4241, 4243], suspended=[76, 78]))
    with pytest.raises(Revoked):
        judge(asked, statuses(revoked=[4242]))
    with pytest.raises(Suspended):
        judge(asked, statuses(suspended=[77]))


@pytest.mark.req("VCX-10")
def test_a_status_that_cannot_be_known_is_a_no() -> None:
    asked = ask(shown(), expected())
    lists = statuses()
    assert asked.status_urls == lists.keys()
    judge(asked, lists)
    for url in lists:
        with pytest.raises(StatusUnavailable):
            judge(asked, {name: found for name, found in lists.items() if name != url})
    with pytest.raises(StatusUnavailable):
        judge(asked, {})


@pytest.mark.req("VCX-10")
@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": MALLORY_DID},
        {"purpose": "suspension"},
        {"url": REVOCATION_URL + "0"},
        {"valid_until": NOW},
        {"bits": bytes(4242 // 8)},
    ],
    ids=["by another issuer", "for another purpose", "from another address", "ended", "too short"],
)
def test_a_list_that_does_not_fit_the_entry_counts_as_unknown(changes: dict[str, Any]) -> None:
    lists: dict[str, VerifiedStatusList] = statuses()
    asked = ask(shown(), expected())
    judge(asked, lists)
    lists[REVOCATION_URL] = replace(lists[REVOCATION_URL], **changes)
    with pytest.raises(StatusUnavailable):
        judge(asked, lists)


@pytest.mark.req("VCX-10")
def test_another_trusted_issuer_cannot_un_revoke() -> None:
    # Both are in the trust list; only the root's own issuer may speak about it.
    both = TrustedIssuers.of(ISSUER_DID, MALLORY_DID)
    asked = ask(shown(), expected(trusted=both))
    lists = statuses(revoked=[4242])
    lists[REVOCATION_URL] = replace(statuses()[REVOCATION_URL], issuer=MALLORY_DID)
    with pytest.raises(StatusUnavailable):
        judge(asked, lists)


def test_builders_and_time_agree() -> None:
    assert format_timestamp(NOW) == stamp()
    assert TRUSTED.issuers.keys() == {ISSUER_DID}
