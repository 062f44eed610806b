"""A guard from its settings: who may enter, with a bridge and without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from did_agent.errors import Misconfigured
from tests.fakes.guard_world import ISSUER
from verifier.composition import compose
from verifier.settings import VerifierSettings

RESOURCE, BRIDGE, OTHER = "https://mcp.example/mcp", "https://bridge.example", "https://login.example.com"
ENTRY: dict[str, Any] = {"issuer": OTHER, "subject": "user", "scopes": {"menu": ["list_menu"]}}
OPAQUE = {**ENTRY, "introspection": {"endpoint": f"{OTHER}/introspect"}}


def doors(tmp_path: Path, *, bridge: str | None = BRIDGE, **options: Any) -> list[str]:
    parts = compose(resource=RESOURCE, bridge=bridge, data=tmp_path, **options)
    parts.spool.close()
    return [type(door).__name__ for door in parts.verifier.doors]


def test_each_form_has_its_door_in_an_order_that_mixes_nothing_up(tmp_path: Path) -> None:
    assert doors(tmp_path) == ["TokenDoor"]
    assert doors(tmp_path, issuers=[ENTRY]) == ["ForeignDoor", "TokenDoor"]
    everything = doors(tmp_path, issuers=[ENTRY, {**OPAQUE, "issuer": "https://two.example"}], trusted_issuers=[ISSUER])
    assert everything == ["ForeignDoor", "OpaqueDoor", "TokenDoor", "PresentationDoor", "SessionDoor"]


def test_without_a_bridge_others_count_and_nothing_is_listened_to(tmp_path: Path) -> None:
    assert doors(tmp_path, bridge=None, issuers=[OPAQUE]) == ["OpaqueDoor"]
    assert doors(tmp_path, bridge=None, trusted_issuers=[ISSUER]) == ["PresentationDoor", "SessionDoor"]
    parts = compose(resource=RESOURCE, bridge=None, data=tmp_path, issuers=[ENTRY])
    assert (parts.feed, list(parts.background), parts.issuers) == (None, [], (OTHER,))
    assert parts.feed_age() is None


def test_a_guard_that_nobody_could_pass_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="nobody could enter"):
        doors(tmp_path, bridge=None)
    with pytest.raises(Misconfigured, match="cannot be another issuer as well"):
        doors(tmp_path, issuers=[{**ENTRY, "issuer": BRIDGE}])
    with pytest.raises(Misconfigured, match="the jwks of"):
        doors(tmp_path, issuers=[{**ENTRY, "jwks": {"keys": {}}}])


def test_the_environment_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "others.json"
    file.write_text(json.dumps({"issuers": [ENTRY]}))
    monkeypatch.setenv("DID_AGENT_ISSUERS_FILE", str(file))
    monkeypatch.setenv("DID_AGENT_VP_MODE", "dpop")
    monkeypatch.setenv("DID_AGENT_DPOP_NONCE", "true")
    assert doors(tmp_path, trusted_issuers=[ISSUER]) == ["ForeignDoor", "TokenDoor", "PresentationDoor", "SessionDoor"]
    settings = VerifierSettings.load({"data": tmp_path})
    assert (settings.vp_mode, settings.dpop_nonce, settings.issuers_file) == ("dpop", True, file)
    assert (
        VerifierSettings.load({"data": tmp_path, "vp_mode": "single_use", "dpop_nonce": False}).vp_mode == "single_use"
    )
    assert compose(resource=RESOURCE, bridge=BRIDGE, data=tmp_path).nonces is not None
    file.unlink()
    with pytest.raises(Misconfigured, match="cannot read"):
        doors(tmp_path)


def test_nonces_and_challenges_of_two_guards_differ(tmp_path: Path) -> None:
    one = compose(resource=RESOURCE, bridge=BRIDGE, data=tmp_path, trusted_issuers=[ISSUER], dpop_nonce=True)
    two = compose(resource=RESOURCE + "2", bridge=BRIDGE, data=tmp_path, trusted_issuers=[ISSUER], dpop_nonce=True)
    assert one.swap is not None
    assert two.swap is not None
    assert one.swap.challenge_key != two.swap.challenge_key
    assert one.nonces == two.nonces  # of one key: replicas hand out the same
