"""`did-agent enrol|attest …` and the commands about agents' keys, as transcripts."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pyrage
import pytest
from processes import Up

from did_agent.clock import system_clock
from did_agent.keys.jwk import public_jwk
from tests.fakes.platform import KEY, Platform


@pytest.fixture(scope="module", autouse=True)
def blueprint(up: Up) -> None:
    up.run("template", "set", "clerk", "--sponsor", "Operations")


def test_a_token_is_shown_once_and_lets_its_number_in(up: Up, tmp_path: Path) -> None:
    made = up.run("enrol", "token", "create", "clerk", "--uses", "1")
    assert made.stdout.startswith("didagent_enrol_")
    assert made.stdout.count("\n") == 1
    came = up.run("agent", "enrol", "clerk-one", "--token", made.stdout.strip())
    assert came.stdout.startswith("clerk-one is active as did:key:")
    assert "bad_grant" in up.run("agent", "enrol", "clerk-late", "--token", made.stdout.strip(), expected=4).stderr
    file = tmp_path / "clerk.token"
    kept = up.json("enrol", "token", "create", "clerk", "--out", str(file))
    assert "token" not in kept
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert up.run("enrol", "token", "revoke", kept["id"]).stdout.endswith("lets nobody in any more\n")
    rows = {row["id"]: row for row in up.json("enrol", "token", "list")["enrolment_tokens"]}
    assert rows[kept["id"]]["ended"] is not None


def test_an_owner_approves_and_rejects(up: Up) -> None:
    token = up.json("enrol", "token", "create", "clerk", "--uses", "2", "--approval")["token"]
    for name in ("clerk-yes", "clerk-no"):
        assert "waits for its owner" in up.run("agent", "enrol", name, "--token", token).stdout
    assert up.run("enrol", "list").stdout.count("waiting") == 2
    assert "clerk-yes is active" in up.run("agent", "approve", "clerk-yes", "--reason", "expected").stdout
    assert "clerk-no is retired" in up.run("agent", "reject", "clerk-no", "--reason", "unknown").stdout
    assert up.run("enrol", "list").stdout == "nothing\n"
    assert "no key waits" in up.run("agent", "approve", "clerk-no", "--reason", "after all", expected=1).stderr


def test_a_rule_lets_a_workload_in(up: Up, tmp_path: Path) -> None:
    keys = tmp_path / "platform.jwks"
    keys.write_text(json.dumps({"keys": [public_jwk(KEY.public, kid="one")]}))
    rule = ("attest", "rule", "add", "pods", "--issuer", "spiffe://shop.example", "--jwks", str(keys))
    made = up.json(*rule, "--claim", "sub=spiffe://shop.example/*", "--template", "clerk", "--agent-name", "pod {sub}")
    assert made["claims"] == {"sub": "spiffe://shop.example/*"}
    assert "pods" in up.run("attest", "rule", "list").stdout
    file = tmp_path / "svid"
    file.write_text(svid(up.url("issuer")))
    came = up.run("agent", "enrol", "pod", "--attest-file", str(file))
    assert came.stdout.startswith("pod is active as did:key:")
    assert "replayed" in up.run("agent", "enrol", "pod-thief", "--attest-file", str(file), expected=4).stderr
    assert up.run("attest", "rule", "remove", "pods").stdout == "pods lets nobody in any more\n"
    assert up.run(*rule, "--claim", "sub", "--template", "clerk", "--agent-name", "x", expected=2).stderr


def svid(audience: str) -> str:
    platform = Platform(issuer="spiffe://shop.example")
    return platform.token(sub="spiffe://shop.example/clerk", aud=audience, now=system_clock())


def test_a_key_is_replaced_and_recovered(up: Up, tmp_path: Path) -> None:
    up.run("agent", "create", "turning", "--sponsor", "Operations")
    first = up.json("agent", "rotate", "turning")
    assert first["before"] != first["did"]
    file = tmp_path / "turning.invitation"
    shown = up.json("agent", "recover", "turning", "--reason", "stolen", "--out", str(file))
    assert (shown["state"], "enrolment" in shown) == ("pending", False)
    assert "unknown_agent" in up.run("agent", "rotate", "turning", expected=4).stderr
    back = up.json("agent", "enrol", "turning", "--invitation", str(file), "--new-key")
    assert back["did"] not in (first["before"], first["did"])
    whys = [row["why"] for row in up.json("agent", "keys", "turning")["keys"]]
    assert sorted(str(why) for why in whys) == ["None", "recovered", "rotated"]


def test_a_custodial_key_is_printed_sealed(up: Up) -> None:
    owner = pyrage.x25519.Identity.generate()
    made = up.json("template", "create-agents", "clerk", "--count", "1")["agents"][0]
    sealed = up.run("agent", "custodial", made["name"], "--recipient", str(owner.to_public())).stdout
    assert sealed.startswith("-----BEGIN AGE ENCRYPTED FILE-----")
    secret = json.loads(pyrage.decrypt(sealed.encode(), [owner]))
    assert secret["kty"] == "OKP"
    assert up.json("agent", "show", made["name"])["custody"] == "issuer"
    assert up.run("agent", "custodial", made["name"], expected=2).stderr.startswith("Usage")
