"""Private keys on the disk: sealed in place and opened again, whole after a crash, and told to nobody (KEY-01, KEY-06)."""

from __future__ import annotations

import json
import logging
import os
import stat
from pathlib import Path

import pyrage
import pytest
from click.testing import CliRunner, Result

from did_agent.adapters import files, sealing
from did_agent.adapters.keystore import (
    is_plain,
    load_any_key,
    load_key,
    load_or_create_any_key,
    load_or_create_key,
    seal_file,
    unseal_file,
    warn_of_plain_keys,
    write_private,
)
from did_agent.adapters.sealing import FILE, open_vault, seal_identity
from did_agent.cli.main import cli
from did_agent.errors import DidAgentError, KeysUnavailable, Misconfigured
from issuer.adapters.sealing import SealedKeys

PHRASE, VARIABLE = "correct horse battery", "DID_AGENT_KEYSTORE_PASSPHRASE"


@pytest.fixture(autouse=True)
def cheap_stretching(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretch passphrases for no time at all; the one test that does it for real takes seconds."""
    identity = pyrage.x25519.Identity.generate()
    recipients: dict[str, pyrage.x25519.Identity] = {PHRASE: identity}

    def encrypt(content: bytes, passphrase: str, *, armored: bool = False) -> bytes:
        own = recipients.setdefault(passphrase, pyrage.x25519.Identity.generate())
        return bytes(pyrage.encrypt(content, [own.to_public()], armored=armored))

    def decrypt(content: bytes, passphrase: str) -> bytes:
        own = recipients.setdefault(passphrase, pyrage.x25519.Identity.generate())
        return bytes(pyrage.decrypt(content, [own]))

    monkeypatch.setattr(pyrage.passphrase, "encrypt", encrypt)
    monkeypatch.setattr(pyrage.passphrase, "decrypt", decrypt)
    for name in (VARIABLE, f"{VARIABLE}_FILE", sealing.IDENTITY, sealing.DEMAND):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments])


@pytest.mark.req("KEY-01")
@pytest.mark.parametrize("kind", ["Ed25519", "P-256"])
def test_a_key_is_sealed_in_place_and_opened_for_its_identity_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "keys" / "issuer.jwk"
    key = load_or_create_any_key(path, kind)  # type: ignore[arg-type]
    secret = json.loads(path.read_bytes())["d"]
    assert is_plain(path)
    assert (seal_file(path), seal_file(path)) == (True, False)
    assert secret.encode() not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {one.name for one in path.parent.iterdir()} == {"issuer.jwk", FILE}
    assert load_any_key(path).public == key.public
    (path.parent / FILE).unlink()
    open_vault(path.parent / FILE, passphrase=None, create=True)
    with pytest.raises(Misconfigured, match="another identity"):
        load_any_key(path)
    with pytest.raises(Misconfigured):
        seal_file(path)  # it is not said to be sealed when nobody here can open it


@pytest.mark.req("KEY-01")
def test_what_was_sealed_can_be_had_back(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jwk"
    before = load_or_create_key(path).seed()
    seal_file(path)
    assert (unseal_file(path), unseal_file(path)) == (True, False)
    assert (is_plain(path), load_key(path).seed()) == (True, before)


@pytest.mark.req("KEY-01")
def test_a_passphrase_opens_the_identity_and_new_keys_are_sealed_from_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phrase = tmp_path / "phrase"
    phrase.write_text(f"{PHRASE}\n")
    monkeypatch.setenv(f"{VARIABLE}_FILE", str(phrase))
    made = load_or_create_key(tmp_path / "keys" / "bridge.jwk")
    assert not is_plain(tmp_path / "keys" / "bridge.jwk")
    assert not is_plain(tmp_path / "keys" / FILE)
    assert load_key(tmp_path / "keys" / "bridge.jwk").seed() == made.seed()
    monkeypatch.delenv(f"{VARIABLE}_FILE")
    for said in (None, "wrong", ""):
        if said is not None:
            monkeypatch.setenv(VARIABLE, said)
        with pytest.raises(Misconfigured) as refused:
            load_key(tmp_path / "keys" / "bridge.jwk")
        assert PHRASE not in str(refused.value)
    monkeypatch.setenv(f"{VARIABLE}_FILE", str(phrase))
    with pytest.raises(Misconfigured, match="both set"):
        load_key(tmp_path / "keys" / "bridge.jwk")


@pytest.mark.req("KEY-01")
def test_the_identity_may_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere, path = tmp_path / "mounted" / "identity", tmp_path / "keys" / "issuer.jwk"
    open_vault(elsewhere, passphrase=None, create=True)
    made = load_or_create_key(path)
    monkeypatch.setenv(sealing.IDENTITY, str(elsewhere))
    seal_file(path)
    assert [one.name for one in path.parent.iterdir()] == ["issuer.jwk"]
    assert load_key(path).seed() == made.seed()
    kept = SealedKeys(folder=path.parent)
    assert kept.open(kept.seal(b"secret")) == b"secret"
    monkeypatch.delenv(sealing.IDENTITY)
    with pytest.raises(Misconfigured):
        load_key(path)
    with pytest.raises(KeysUnavailable):
        kept.open("AAAA")


@pytest.mark.req("KEY-01")
def test_plain_keys_are_refused_where_sealed_ones_are_demanded_and_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = tmp_path / "plain" / "issuer.jwk"
    load_or_create_key(plain)
    with caplog.at_level(logging.WARNING, logger="did_agent.keys"):
        warn_of_plain_keys([plain, tmp_path / "absent.jwk"])
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == [plain]
    monkeypatch.setenv(sealing.DEMAND, "sealed")
    with pytest.raises(Misconfigured, match="is not sealed"):
        load_key(plain)
    assert seal_file(plain)
    load_key(plain)
    made = load_or_create_key(tmp_path / "new" / "ledger.jwk")
    assert not is_plain(tmp_path / "new" / "ledger.jwk")
    assert load_key(tmp_path / "new" / "ledger.jwk").seed() == made.seed()
    monkeypatch.setenv(sealing.DEMAND, "perhaps")
    with pytest.raises(Misconfigured):
        load_key(plain)


@pytest.mark.req("KEY-01")
@pytest.mark.parametrize("point", ["open", "fsync", "replace"])
def test_after_a_crash_a_file_is_as_before_or_as_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    path = tmp_path / "issuer.jwk"
    key = load_or_create_key(path)
    open_vault(tmp_path / FILE, passphrase=None, create=True)

    def dies(*_: object) -> None:
        raise OSError("the power went away")

    with monkeypatch.context() as broken:
        if point == "replace":
            broken.setattr(Path, "replace", dies)
        elif point == "fsync":
            broken.setattr(files.os, "fsync", dies)
        else:
            broken.setattr(files.os, "open", dies)
        with pytest.raises(Misconfigured):
            seal_file(path)
    assert load_key(path).seed() == key.seed()
    assert {one.name for one in tmp_path.iterdir()} == {"issuer.jwk", FILE}
    seal_file(path)
    assert load_key(path).seed() == key.seed()


@pytest.mark.req("KEY-01")
def test_files_of_others_and_what_is_no_key_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "issuer.jwk"
    load_or_create_key(path)
    seal_file(path)
    for name in ("issuer.jwk", FILE):
        (tmp_path / name).chmod(0o644)
        with pytest.raises(Misconfigured, match="chmod 600"):
            load_key(path)
        (tmp_path / name).chmod(0o600)
    write_private(tmp_path / "other.jwk", b"my diary")
    for do in (seal_file, load_key):
        with pytest.raises(Misconfigured):
            do(tmp_path / "other.jwk")
    assert (tmp_path / "other.jwk").read_bytes() == b"my diary"
    with pytest.raises(Misconfigured):
        seal_identity(tmp_path / "other.jwk", PHRASE)
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    path.write_bytes(changed)
    with pytest.raises(Misconfigured):
        load_key(path)


@pytest.mark.req("KEY-06")
def test_nothing_that_is_said_of_a_key_file_shows_the_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "issuer.jwk"
    load_or_create_key(path)
    secret = json.loads(path.read_bytes())["d"]
    write_private(path, json.dumps({"kty": "OKP", "crv": "Ed25519", "d": secret, "x": secret}).encode())
    refused: BaseException | None = None
    try:
        load_key(path)
    except DidAgentError as error:
        refused = error
    assert refused is not None
    while refused is not None:
        assert secret not in repr(refused)
        refused = refused.__cause__
    vault = open_vault(tmp_path / FILE, passphrase=None, create=True)
    identity = (tmp_path / FILE).read_text().strip()
    assert identity not in f"{vault!r} {caplog.text}"


@pytest.mark.req("KEY-01")
def test_the_command_seals_every_key_and_the_identity_and_undoes_it(tmp_path: Path) -> None:
    data, phrase = tmp_path / "data", tmp_path / "phrase"
    for name in ("issuer", "bridge", "ledger"):
        load_or_create_key(data / "keys" / f"{name}.jwk")
    open_vault(data / "keys" / FILE, passphrase=None, create=True)  # as the bridge makes it
    phrase.write_text(PHRASE)
    seal = ("--data", str(data), "key", "seal", "--passphrase-file", str(phrase), "--json")
    done = run(*seal)
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.stdout)["changed"]) == 3
    assert not any(is_plain(path) for path in (data / "keys").iterdir())
    assert json.loads(run(*seal).stdout)["changed"] == []  # once more changes nothing
    assert VARIABLE not in os.environ
    assert f"{VARIABLE}_FILE" not in os.environ
    without = run("--data", str(data), "key", "unseal")
    assert (without.exit_code, PHRASE in without.output) == (1, False)
    back = run("--data", str(data), "key", "unseal", "--passphrase-file", str(phrase))
    assert back.exit_code == 0, back.output
    assert all(is_plain(path) for path in (data / "keys").glob("*.jwk"))
    assert run("--data", str(tmp_path / "empty"), "key", "seal").exit_code != 0
