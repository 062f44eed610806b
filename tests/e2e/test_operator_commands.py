"""What operators do from the command line with clients, signing keys and subjects, against running parties."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from processes import Up

from did_agent.keys import ecdsa
from did_agent.keys.jwk import public_jwk
from tests.fakes.certificates import certificate

REDIRECT = "http://127.0.0.1:9/callback"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up(tmp_path_factory.mktemp("operator") / "data").start()
    running.run("agent", "create", "buyer", "--sponsor", "Operations")
    running.run("cred", "issue", "buyer", "--resource", running.resource, "--tool", "list_menu")
    yield running
    running.stop()


def test_a_client_comes_and_goes(up: Up, tmp_path: Path) -> None:
    added = up.json("client", "add", "portal", "--name", "Portal", "--redirect-uri", REDIRECT)
    assert (added["client_id"], added["auth_method"]) == ("portal", "none")
    assert "client_secret" not in added
    secret = up.json("client", "add", "legacy", "--name", "Legacy", "--auth", "client_secret_basic", "--agent", "buyer")
    assert len(secret["client_secret"]) > 30
    assert secret["agent"].startswith("did:key:z6Mk")
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [public_jwk(ecdsa.SigningKey.generate("P-256").public)]}))
    keyed = up.json("client", "add", "keyed", "--name", "Keyed", "--auth", "private_key_jwt", "--jwks", str(file))
    assert keyed["keys"][0]["crv"] == "P-256"
    assert {one["client_id"] for one in up.json("client", "list")["clients"]} >= {"portal", "legacy", "keyed"}
    assert "client_secret" not in up.json("client", "show", "legacy")
    assert up.json("client", "remove", "portal")["removed"] is True
    up.run("client", "show", "portal", expected=1)


def test_a_client_that_makes_no_sense_is_refused(up: Up) -> None:
    before = up.json("client", "list")["clients"]
    missing = up.run("client", "add", "x", "--name", "X", "--auth", "private_key_jwt", expected=2)
    assert "--jwks belongs to" in missing.stderr
    acting = up.run("client", "add", "x", "--name", "X", "--redirect-uri", REDIRECT, "--agent", "buyer", expected=1)
    assert "must authenticate" in acting.stderr
    assert "say --redirect-uri" in up.run("client", "add", "x", "--name", "X", expected=2).stderr
    odd = up.run("client", "add", "x", "--name", "X", "--redirect-uri", "http://example.com/", expected=1)
    assert "https, http to a loopback address" in odd.stderr
    assert up.json("client", "list")["clients"] == before


def test_a_client_is_known_by_its_certificate_or_the_name_in_it(up: Up, tmp_path: Path) -> None:
    own = certificate(tmp_path, "erp")
    by_key = ("--auth", "self_signed_tls_client_auth", "--certificate", str(own.pem))
    assert up.json("client", "add", "erp", "--name", "ERP", *by_key)["keys"] == [own.x5c]
    two = tmp_path / "two.pem"
    two.write_bytes(own.pem.read_bytes() * 2)
    adding = ("client", "add", "erp", "--name", "ERP", *by_key[:3], str(two))
    assert "2 certificates" in up.run(*adding, expected=2).stderr
    by_name = ("--auth", "tls_client_auth", "--certificate-name", "san_dns=erp.example")
    named = up.json("client", "add", "erp", "--name", "ERP", *by_name)
    assert named["certificate_name"] == {"san_dns": "erp.example"}
    up.run("client", "remove", "erp")


@pytest.mark.req("TOK-12")
def test_a_token_is_looked_at_and_ended(up: Up) -> None:
    token = up.run("token", "get", "buyer", "--resource", up.resource).stdout
    did = next(row["did"] for row in up.json("agent", "list")["agents"] if row["name"] == "buyer")
    told = json.loads(up.run("token", "introspect", "-", "--json", stdin=token).stdout)
    assert (told["active"], told["sub"], told["aud"]) == (True, did, up.resource)
    shown = up.run("token", "introspect", "-", "--agent", "buyer", stdin=token).stdout
    assert shown.startswith("active\nwho:")
    up.run("agent", "create", "bystander", "--sponsor", "Operations")
    assert "not active" in up.run("token", "introspect", "-", "--agent", "bystander", stdin=token, expected=1).stdout
    assert "unauthorized_client" in up.run("token", "revoke", "bystander", "-", stdin=token, expected=1).stderr
    assert json.loads(up.run("token", "revoke", "buyer", "-", "--json", stdin=token).stdout)["revoked"] is True
    gone = up.run("token", "introspect", "-", "--json", stdin=token, expected=1)
    assert json.loads(gone.stdout) == {"active": False}


@pytest.mark.req("DEL-10")
def test_everything_of_an_agent_ends(up: Up) -> None:
    did = next(row["did"] for row in up.json("agent", "list")["agents"] if row["name"] == "buyer")
    assert up.json("subject", "revoke", did) == {"subject": did, "revoked": True}


def test_a_resource_says_how_its_tokens_are_made(up: Up) -> None:
    place = "https://tools.example/mcp"
    how = ("--binding", "required", "--admits", "clients", "--signing-alg", "RS256")
    added = up.json("resource", "add", place, "--name", "Tools", "--tool", "look=Look at things", *how)
    assert (added["binding"], added["admits"], added["signing_alg"]) == ("required", "clients", "RS256")
    keys = {row["algorithm"]: row["state"] for row in up.json("signing-key", "list")["signing_keys"]}
    assert keys["RS256"] == "active"


@pytest.mark.req("KEY-02", "KEY-03")
def test_signing_keys_are_rotated_and_revoked(up: Up) -> None:  # the last: others hear of it within 30 s
    listed = up.json("signing-key", "list")["signing_keys"]
    first = next(row for row in listed if row["algorithm"] == "EdDSA")
    assert (first["state"], first["algorithm"], first["provider"]) == ("active", "EdDSA", "age")
    second = up.json("signing-key", "rotate", "--reason", "a drill")
    assert second["state"] == "pending"
    assert "under way" in up.run("signing-key", "rotate", expected=1).stderr
    with pytest.raises(AssertionError, match="no such key"):
        up.json("signing-key", "revoke", "--kid", "-nobody", "--reason", "a drill")
    assert up.json("signing-key", "revoke", "--kid", first["kid"], "--reason", "a drill")["state"] == "revoked"
    states = {row["kid"]: row["state"] for row in up.json("signing-key", "list")["signing_keys"]}
    assert (states[first["kid"]], states[second["kid"]]) == ("revoked", "active")
    jwks = httpx2.get(up.url("bridge") + "/.well-known/jwks.json", trust_env=False).json()["keys"]
    assert [jwk["kid"] for jwk in jwks if jwk["alg"] == "EdDSA"] == [second["kid"]]
