"""The bridge's pure decisions: challenges, CSRF tokens, origins, scopes, and the metadata document."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher

from bridge.adapters.passwords import MAX_WAITING, NICENESS, Argon2Passwords
from bridge.authorization_request import parse_scope
from bridge.consent import csrf_token, require_csrf, require_same_origin
from bridge.grants.client_credentials import judge_operator
from bridge.model import Resource
from did_agent.errors import EmptyGrant, InvalidParameter, Unavailable, WrongChallenge
from did_agent.tokens.challenges import CHALLENGE_SECONDS, make_challenge, require_challenge

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.mark.req("VCX-01")
def test_a_challenge_is_good_for_two_minutes_and_not_a_second_longer() -> None:
    challenge = make_challenge(b"key", now=NOW)
    require_challenge(challenge, b"key", now=NOW)
    require_challenge(challenge, b"key", now=NOW + timedelta(seconds=CHALLENGE_SECONDS - 1))
    for moment in (NOW + timedelta(seconds=CHALLENGE_SECONDS), NOW - timedelta(seconds=1)):
        with pytest.raises(WrongChallenge):
            require_challenge(challenge, b"key", now=moment)


@pytest.mark.req("VCX-01")
def test_a_challenge_with_any_character_changed_is_not_ours() -> None:
    challenge = make_challenge(b"key", now=NOW)
    for position, char in enumerate(challenge):
        changed = challenge[:position] + ("A" if char != "A" else "B") + challenge[position + 1 :]
        with pytest.raises(WrongChallenge):
            require_challenge(changed, b"key", now=NOW)
    for foreign in (None, "", "A", challenge + "AAAA", make_challenge(b"other", now=NOW)):
        with pytest.raises(WrongChallenge):
            require_challenge(foreign, b"key", now=NOW)


def test_no_two_challenges_are_alike() -> None:
    assert len({make_challenge(b"key", now=NOW) for _ in range(100)}) == 100


@pytest.mark.req("WEB-05")
def test_a_form_token_fits_one_browser_and_one_request() -> None:
    token = csrf_token(b"key", cookie="c" * 43, query="a=1")
    require_csrf(token, b"key", cookie="c" * 43, query="a=1")
    for other in ({"cookie": "d" * 43}, {"cookie": None}, {"query": "a=2"}):
        with pytest.raises(InvalidParameter):
            require_csrf(token, b"key", **({"cookie": "c" * 43, "query": "a=1"} | other))
    for wrong in (None, "", "é", token[:-1]):
        with pytest.raises(InvalidParameter):
            require_csrf(wrong, b"key", cookie="c" * 43, query="a=1")


@pytest.mark.req("WEB-05")
@pytest.mark.parametrize(
    ("origin", "site", "kept"),
    [
        ("https://b.example", None, True),
        ("null", "same-origin", True),
        (None, "same-origin", True),
        (None, None, False),
        ("null", None, False),
        ("null", "cross-site", False),
        ("null", "same-site", False),
        ("https://evil.example", "same-origin", False),
        ("https://b.example.evil.example", None, False),
    ],
)
def test_a_form_comes_from_our_own_origin(origin: str | None, site: str | None, kept: bool) -> None:
    if kept:
        require_same_origin(origin, site, expected="https://b.example")
    else:
        with pytest.raises(InvalidParameter):
            require_same_origin(origin, site, expected="https://b.example")


def test_a_scope_parameter_is_a_list_of_scope_tokens() -> None:
    assert parse_scope(None) is None
    assert parse_scope("tool:a tool:b") == {"tool:a", "tool:b"}
    for malformed in (" ", "a  b", " a", 'a"b', "a\\b", "é"):
        with pytest.raises(EmptyGrant):
            parse_scope(malformed)


@pytest.mark.req("WEB-04")
def test_an_operator_has_rights_at_the_deployments_own_parties_alone() -> None:
    own = Resource(id="https://b.example", name="B", scopes={"bridge:admin": "all"}, built_in=True)
    tools = Resource(id="https://t.example", name="T", scopes={"tool:a": "a"})
    assert judge_operator("did:key:z6Mk", requested=None, resource=own, now=NOW).scopes == {"bridge:admin"}
    for resource, requested in ((tools, None), (own, frozenset({"other"})), (tools, frozenset({"tool:a"}))):
        with pytest.raises(EmptyGrant):
            judge_operator("did:key:z6Mk", requested=requested, resource=resource, now=NOW)


@pytest.mark.req("OAU-15")
async def test_a_password_is_right_for_its_own_hash_and_never_for_nobodys() -> None:
    passwords = Argon2Passwords(CHEAP)
    stored = await passwords.hash("correct horse")
    assert stored.startswith("$argon2id$")
    assert await passwords.is_right(stored, "correct horse")
    assert not await passwords.is_right(stored, "wrong horse")
    assert not await passwords.is_right(None, "correct horse")
    assert not await passwords.is_right("not a hash", "correct horse")
    passwords.close()


@pytest.mark.req("OAU-16")
async def test_more_logins_than_fit_the_queue_are_turned_away() -> None:
    gate = threading.Event()

    class Slow(PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            gate.wait(10)
            return CHEAP.hash(password)

    passwords = Argon2Passwords(Slow())
    waiting = [asyncio.create_task(passwords.hash("x")) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await passwords.hash("one too many")
    gate.set()
    assert len(await asyncio.gather(*waiting)) == MAX_WAITING
    assert await passwords.hash("room again")
    passwords.close()


@pytest.mark.req("OAU-16")
@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness of their own on Linux alone")
async def test_hashing_steps_back_behind_everybody_else() -> None:
    pool = Argon2Passwords(CHEAP)

    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = niceness()
    assert await pool._run(niceness) == NICENESS > before
    assert niceness() == before
    pool.close()
