"""Key and trust files: made once, read by their owner alone, refused when they are not what they should be."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from did_agent.adapters import files
from did_agent.adapters.keystore import load_key, load_or_create_key, write_private
from did_agent.adapters.trust import Trust, load_trust, save_trust
from did_agent.did.key import did_key
from did_agent.errors import Misconfigured
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import public_jwk

ALICE = did_key(SigningKey.from_seed(b"1" * 32).public)


@pytest.mark.req("KEY-01")
def test_a_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "party.jwk"
    made = load_or_create_key(path)
    assert load_or_create_key(path).seed() == load_key(path).seed() == made.seed()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.req("KEY-01")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "party.jwk"
    load_or_create_key(path)
    path.chmod(mode)
    with pytest.raises(Misconfigured, match="chmod 600"):
        load_or_create_key(path)
    path.chmod(0o400)
    load_key(path)


@pytest.mark.req("KEY-01")
def test_a_link_laid_out_beforehand_does_not_receive_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = tmp_path / "trap"
    trap.touch()
    monkeypatch.setattr(files.secrets, "token_hex", lambda _length: "guessed")
    (tmp_path / ".party.jwk.guessed").symlink_to(trap)
    with pytest.raises(Misconfigured):
        load_or_create_key(tmp_path / "party.jwk")
    assert trap.read_bytes() == b""


def test_the_key_of_a_process_that_was_first_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "party.jwk"
    first = load_or_create_key(path)
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    assert load_or_create_key(path).seed() == first.seed()


@pytest.mark.req("KEY-06")
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"not json",
        b"x" * 5_000,
        json.dumps(public_jwk(SigningKey.from_seed(b"1" * 32).public)).encode(),
        b'{"kty":"OKP","crv":"Ed25519","x":"AAAA","d":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ"}',
    ],
)
def test_a_file_that_is_no_private_key_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "party.jwk"
    write_private(path, content)
    with pytest.raises(Misconfigured) as refused:
        load_key(path)
    assert "c2VjcmV0" not in str(refused.value)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"none\.jwk"):
        load_key(tmp_path / "none.jwk")


def test_a_private_file_is_replaced_whole_and_only_when_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, b"one")
    write_private(path, b"two")
    with pytest.raises(FileExistsError):
        write_private(path, b"three", replace=False)
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_trust_comes_back_as_it_was_saved_and_an_absent_file_trusts_nobody(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    assert load_trust(path) == Trust()
    trust = Trust(issuers=(ALICE,), operators=(ALICE,), parties=(), ledger=ALICE)
    save_trust(path, trust)
    assert load_trust(path) == trust


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"issuers":"did:key:z"}',
        '{"issuers":[5]}',
        '{"issuers":["did:web:example.com"]}',
        '{"issuers":{}}',
        '{"ledger":["x"]}',
        '{"admins":[]}',
        '{"issuers":[],"issuers":[]}',
    ],
)
def test_trust_that_can_not_be_read_is_not_taken_for_no_trust(tmp_path: Path, content: str) -> None:
    path = tmp_path / "trust.json"
    path.write_text(content)
    with pytest.raises(Misconfigured):
        load_trust(path)
