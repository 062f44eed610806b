"""Whatever a browser or a provider sends: it is refused as ours refuse, or it is right; nothing else happens."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.adapters.webauthn import WebAuthn
from bridge.logins import is_marked, make_mark, source_of
from bridge.model.passkeys import Passkey, RelyingParty
from bridge.model.upstream import Upstream
from bridge.passkeys import make_challenge, read_answer, require_challenge
from bridge.upstream import is_endpoint, person_of, read_metadata, require_id_token, username_for
from did_agent.errors import DidAgentError, WrongChallenge
from tests.fakes.authenticator import Device, b64, unb64

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
UPSTREAM = Upstream(
    issuer="https://login.example", client_id="us", client_secret="", groups_claim="groups", redirect_uri=""
)
JUDGE = WebAuthn(RelyingParty(id="localhost", origin="http://localhost:1"))
DEVICE = Device("http://localhost:1")
OPTIONS = {"challenge": b64(b"c" * 56), "user": {"id": b64(b"u" * 32)}}
MADE, USED = DEVICE.create(OPTIONS), DEVICE.get(OPTIONS)
NEW = JUDGE.registered(read_answer(MADE))
PASSKEY = Passkey(
    id=NEW.id, username="smith", public_key=NEW.public_key, signatures=0, name="", created=NOW
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
CLAIMS = ("iss", "sub", "aud", "azp", "exp", "iat", "nonce", "name", "preferred_username", "groups")
METADATA = (
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "response_types_supported",
    "code_challenge_methods_supported",
    "id_token_signing_alg_values_supported",
    "token_endpoint_auth_methods_supported",
    "scopes_supported",
)


def honest() -> dict[str, Any]:
    now = int(NOW.timestamp())
    return {"iss": UPSTREAM.issuer, "sub": "1", "aud": "us", "exp": now + 9, "iat": now, "nonce": "n", "groups": ["a"]}


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["clientDataJSON", "authenticatorData", "signature"]), st.integers(0, 400), st.integers(1, 255)
)  # fmt: skip
def test_one_flipped_bit_of_a_passkeys_answer_is_refused(part: str, place: int, flip: int) -> None:
    members = json.loads(USED)
    raw = bytearray(unb64(members["response"][part]))
    raw[place % len(raw)] ^= flip
    members["response"][part] = b64(bytes(raw))
    try:
        JUDGE.signed_in(read_answer(json.dumps(members)), PASSKEY)
    except DidAgentError:
        return
    raise AssertionError("a changed answer was believed")


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["id", "rawId", "type", "response"]), JSON, max_size=2), st.binary(max_size=60))
def test_any_answer_is_read_or_refused(changes: dict[str, Any], raw: bytes) -> None:
    for text, judge in ((MADE, JUDGE.registered), (USED, lambda answer: JUDGE.signed_in(answer, PASSKEY))):
        members = json.loads(text)
        part = "attestationObject" if text is MADE else "authenticatorData"
        members["response"][part] = b64(unb64(members["response"][part])[: len(raw)] + raw)
        try:
            judge(read_answer(json.dumps({**members, **changes})))
        except DidAgentError:
            continue


@given(st.binary(max_size=80), st.text(max_size=50), st.text(max_size=50))
def test_only_our_challenge_for_this_browser_counts(made_up: bytes, cookie: str, other: str) -> None:
    made = make_challenge(b"k", purpose="sign in", cookie=cookie, random=bytes(16), now=NOW)
    require_challenge(made, b"k", purpose="sign in", cookie=cookie, now=NOW)
    wrong = [(made_up, "sign in", cookie), (made, "add", cookie), *([(made, "sign in", other)] * (other != cookie))]
    for challenge, purpose, browser in wrong:
        try:
            require_challenge(challenge, b"k", purpose=purpose, cookie=browser, now=NOW)
        except WrongChallenge:
            continue
        raise AssertionError("a foreign challenge was taken")


@given(st.dictionaries(st.sampled_from(CLAIMS), JSON, max_size=3))
def test_any_claims_are_right_or_refused(changes: dict[str, Any]) -> None:
    claims = {**honest(), **changes}
    try:
        require_id_token(claims, upstream=UPSTREAM, nonce="n", now=NOW)
        person = person_of(claims, upstream=UPSTREAM)
    except DidAgentError:
        return
    assert (claims["iss"], claims["nonce"]) == (UPSTREAM.issuer, "n")
    assert username_for(person).isascii()
    assert len(username_for(person)) == 35
    assert 0 < len(person.name) <= 64


@given(st.dictionaries(st.sampled_from(METADATA), JSON, max_size=9))
def test_any_metadata_is_right_or_refused(document: dict[str, Any]) -> None:
    try:
        read_metadata(document, issuer=UPSTREAM.issuer, allow_loopback=False)
    except DidAgentError:
        return
    raise AssertionError("an endpoint was made up")


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_texts_of_strangers_do_no_harm(one: str, two: str, three: str) -> None:
    source_of(one)
    assert not is_marked(one, b"key", two)
    mark = make_mark(b"key", two, random=bytes(16))
    assert is_marked(mark, b"key", two)
    assert is_marked(mark, b"key", three) == (two == three)
    if is_endpoint(one, allow_loopback=False):
        assert one.lower().startswith("https:")
