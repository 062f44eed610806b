"""The command line as a transcript: what it prints, where, and the exit code it ends with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from processes import Up


def test_an_agents_whole_life(up: Up, tmp_path: Path) -> None:
    created = up.run("agent", "create", "lifer", "--sponsor", "Operations")
    assert created.stdout.startswith("lifer is active as did:key:z6Mk")
    assert created.stderr == ""
    did = up.json("agent", "show", "lifer")["did"]
    assert did in up.run("agent", "list", "--state", "active").stdout

    issued = up.json("cred", "issue", "lifer", "--resource", up.resource, "--tool", "list_menu", "--valid", "600")
    file = tmp_path / "credential.json"
    file.write_text(json.dumps(issued))
    assert up.run("verify", str(file)).stdout.startswith("verified (revocation was not looked up)")
    assert issued["id"] in up.run("cred", "verify", str(file)).stdout
    assert "list_menu" in up.run("cred", "list", "--agent", "lifer").stdout

    token = up.run("token", "get", "lifer", "--resource", up.resource).stdout.strip()
    inspected = json.loads(up.run("token", "inspect", "-", "--json", stdin=token).stdout)
    assert inspected["claims"]["sub"] == did
    assert inspected["header"]["typ"] == "at+jwt"
    assert "act" not in inspected["claims"]

    suspended = up.run("agent", "suspend", "lifer", "--reason", "look into it")
    assert suspended.stdout == "lifer is suspended; verifiers have heard\n"
    refused = up.run("token", "get", "lifer", "--resource", up.resource, expected=1)
    assert refused.stderr.startswith("did-agent: ")
    assert refused.stdout == ""
    up.run("agent", "resume", "lifer", "--reason", "cleared")
    up.run("token", "get", "lifer", "--resource", up.resource)

    revoked = up.run("cred", "revoke", "--agent", "lifer", "--reason", "over")
    assert revoked.stdout == f"revoked {issued['id']}; verifiers have heard\n"
    up.run("agent", "retire", "lifer", "--reason", "gone")
    again = up.run("agent", "resume", "lifer", "--reason", "no", expected=1)
    assert "retired cannot resume" in again.stderr


def test_a_spoiled_credential_is_refused_by_verify(up: Up, tmp_path: Path) -> None:
    up.run("agent", "create", "spoiled", "--sponsor", "Operations")
    issued = up.json("cred", "issue", "spoiled", "--resource", up.resource, "--tool", "list_menu")
    file = tmp_path / "credential.json"
    file.write_text(json.dumps(issued))
    up.run("verify", str(file))
    file.write_text(json.dumps(issued).replace("list_menu", "drop_menu"))
    refused = up.run("verify", str(file), expected=1)
    assert "signature" in refused.stderr


def test_the_log_is_shown_exported_and_checked_offline(up: Up, tmp_path: Path) -> None:
    up.run("agent", "create", "logged", "--sponsor", "Operations")
    shown = up.run("audit", "tail", "-n", "5").stdout
    assert shown.splitlines()[0].split() == ["WHEN", "WHO", "THROUGH", "DID", "ON", "DECISION", "WHY"]
    file = tmp_path / "audit.jsonl"
    up.run("audit", "export", str(file))
    assert up.run("audit", "verify", str(file)).stdout.startswith("ok: ")
    file.write_bytes(file.read_bytes().replace(b'"agent.create"', b'"agent.delete"', 1))
    refused = up.run("audit", "verify", str(file), expected=1)
    assert refused.stderr.startswith("did-agent: row ")


def test_doctor_is_content_with_a_healthy_deployment(up: Up) -> None:
    findings = up.json("doctor")["findings"]
    assert len(findings) >= 10
    assert all(one["ok"] for one in findings), findings


def test_people_and_servers_are_kept_at_the_bridge(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DID_AGENT_USER_PASSWORD", "correct horse battery")
    added = up.run("user", "add", "jo", "--name", "Jo", "--allow", f"{up.resource}=list_menu,create_order")
    assert added.stdout.startswith("jo can sign in at http")
    assert "Urban Bites" in up.run("resource", "list").stdout


def test_every_way_to_fail_has_its_exit_code(up: Up, tmp_path: Path) -> None:
    assert "there is no agent called nobody" in up.run("agent", "show", "nobody", expected=1).stderr
    assert "Usage" in up.run("agent", "create", expected=2).stderr
    stranger = Up(tmp_path / "elsewhere")
    stranger.run("init")
    unreachable = stranger.run("agent", "list", expected=3)
    assert "hint: are the parties running?" in unreachable.stderr
    stranger.base = up.base
    assert stranger.run("agent", "list", expected=4).stderr.startswith("did-agent: invalid_client")
    nothing = Up(tmp_path / "nothing")
    assert "run `did-agent init`" in nothing.run("agent", "list", expected=1).stderr


def test_a_taken_port_is_one_clear_error(up: Up, tmp_path: Path) -> None:
    second = Up(tmp_path / "second")
    refused = second.run("up", "--data", str(second.data), "--port", str(up.base), expected=1)
    assert f"port {up.base} on 127.0.0.1 is not free" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.req("KEY-01")
def test_keys_are_readable_by_their_owner_alone(up: Up, tmp_path: Path) -> None:
    private = [*up.data.glob("keys/*.jwk"), *up.data.glob("wallet/*/key.jwk")]
    assert len(private) >= 5
    assert {oct(path.stat().st_mode & 0o777) for path in private} == {"0o600"}
    own = Up(tmp_path / "own")
    own.run("init")
    (own.data / "keys" / "operator.jwk").chmod(0o644)
    assert "chmod 600" in own.run("agent", "list", expected=1).stderr
