"""`docker-compose.yml`: held against a closed schema, and its very commands run as processes on PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import httpx2
import jsonschema
import psycopg
import pytest
import yaml
from processes import COMMAND, free_base

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
POSTGRES = os.environ.get("DID_AGENT_TEST_POSTGRES")
PARTIES = ("issuer", "bridge", "ledger", "urban-bites", "console")

TEXTS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
# The part of the Compose Specification this file uses; anything else is a typing error.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "services", "volumes"],
    "additionalProperties": False,
    "patternProperties": {"^x-": {}},
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
        "volumes": {"type": "object", "additionalProperties": {"type": "object"}},
        "services": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["image"],
                "additionalProperties": False,
                "properties": {
                    "image": {"type": "string"},
                    "build": {
                        "type": "object",
                        "required": ["context", "dockerfile"],
                        "additionalProperties": False,
                        "properties": {"context": {"const": "."}, "dockerfile": {"type": "string"}},
                    },
                    "command": TEXTS,
                    "network_mode": {"type": "string", "pattern": "^service:[a-z]+$"},
                    "read_only": {"type": "boolean"},
                    "init": {"type": "boolean"},
                    "cap_drop": {"const": ["ALL"]},
                    "security_opt": TEXTS,
                    "restart": {"enum": ["no", "unless-stopped"]},
                    "volumes": TEXTS,
                    "ports": {"type": "array", "items": {"type": "string", "pattern": "^127\\.0\\.0\\.1:\\d+:\\d+$"}},
                    "environment": {"type": "object", "additionalProperties": {"type": "string"}},
                    "depends_on": {
                        "type": "object",
                        "additionalProperties": {
                            "type": "object",
                            "required": ["condition"],
                            "additionalProperties": False,
                            "properties": {
                                "condition": {"enum": ["service_completed_successfully", "service_healthy"]}
                            },
                        },
                    },
                    "healthcheck": {
                        "type": "object",
                        "required": ["test"],
                        "additionalProperties": False,
                        "properties": {
                            "test": TEXTS,
                            "interval": {"type": "string"},
                            "timeout": {"type": "string"},
                            "retries": {"type": "integer"},
                        },
                    },
                },
            },
        },
    },
}


def test_the_file_follows_the_schema_and_its_references_exist() -> None:
    jsonschema.validate(COMPOSE, SCHEMA)
    services = COMPOSE["services"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert service.get("network_mode", "service:network").removeprefix("service:") in services
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in COMPOSE["volumes"]
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file()


def test_a_schema_error_would_be_found() -> None:
    broken = {**COMPOSE, "services": {**COMPOSE["services"], "odd": {"image": "x", "privileged": True}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, SCHEMA)


@pytest.mark.req("KEY-04")
def test_there_is_no_default_secret() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert text.count("${POSTGRES_PASSWORD:?") == 2
    assert ":-" not in text


def test_the_image_runs_as_nobody_special() -> None:
    lines = (ROOT / "deploy" / "Dockerfile").read_text().splitlines()
    assert "USER did-agent" in lines
    assert lines.index("USER did-agent") < lines.index('ENTRYPOINT ["did-agent"]')


@pytest.mark.skipif(POSTGRES is None, reason="no PostgreSQL: run the tests through tests/with_postgres.py")
def test_its_commands_run_as_processes_of_their_own_on_postgresql(tmp_path: Path) -> None:
    assert POSTGRES is not None
    database = f"compose_{uuid.uuid4().hex}"
    with psycopg.connect(POSTGRES.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {database}".encode())
    base = free_base()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DID_AGENT_")}
    for name, value in COMPOSE["services"]["issuer"]["environment"].items():
        for offset in (0, 1, 2, 3, 5):
            value = value.replace(f":{8400 + offset}", f":{base + offset}")  # noqa: PLW2901
        environment[name] = value
    environment |= {
        "DID_AGENT_DATA": str(tmp_path / "data"),
        "DID_AGENT_DATABASE_URL": POSTGRES.rsplit("/", 1)[0] + f"/{database}",
        "DID_AGENT_BIND": "127.0.0.1",
    }

    def run(*arguments: str) -> str:
        done = subprocess.run([*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    run(*COMPOSE["services"]["init"]["command"])
    processes = []
    log = (tmp_path / "log").open("w")
    try:
        for party in PARTIES:
            command = [*COMMAND, *COMPOSE["services"][party]["command"]]
            processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        for offset in (0, 1, 2, 3):
            until_ready(f"http://127.0.0.1:{base + offset}/readyz")
        run(*COMPOSE["services"]["console-client"]["command"])
        landed = httpx2.get(f"http://127.0.0.1:{base + 3}/", follow_redirects=True, trust_env=False)
        assert (landed.status_code, "Sign in" in landed.text) == (200, True)
        resource = environment["DID_AGENT_DEMO_URL"]
        run("resource", "add", resource, "--name", "Urban Bites", "--tool", "list_menu=Read the menu")
        run("agent", "create", "compose-agent", "--sponsor", "Operations")
        run("cred", "issue", "compose-agent", "--resource", resource, "--tool", "list_menu")
        token = run("token", "get", "compose-agent", "--resource", resource).strip()
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "delete_order"}}
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
        answer = httpx2.post(resource, json=message, headers=headers, trust_env=False)
        assert answer.json()["result"]["isError"] is True
        run("cred", "revoke", "--agent", "compose-agent", "--reason", "over")
        assert httpx2.post(resource, json=message, headers=headers, trust_env=False).status_code == 401
        run("audit", "export", str(tmp_path / "audit.jsonl"))
        assert run("audit", "verify", str(tmp_path / "audit.jsonl")).startswith("ok: ")
    finally:
        for process in processes:
            process.terminate()
        codes = [process.wait(timeout=20) for process in processes]
        log.close()
    assert codes == [0] * len(PARTIES), (tmp_path / "log").read_text()
    assert not list((tmp_path / "data").glob("issuer.db"))


def until_ready(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if httpx2.get(url, trust_env=False, timeout=2).is_success:
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} did not become ready; Python {sys.version}")
