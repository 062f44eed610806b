"""A fresh deployment has no account and no password: whoever holds the operator's key is the only way in (WEB-10)."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from did_agent.cli.deployment import initialise
from did_agent.keys.ed25519 import SigningKey
from tests.fakes.bridge_world import PASSWORD, Browser, cheap_passwords, form_of, world

pytestmark = pytest.mark.req("WEB-10")


@pytest.mark.parametrize(
    ("username", "password"),
    [("admin", "admin"), ("admin", "password"), ("root", "root"), ("operator", "operator"), ("smith", PASSWORD)],
)
async def test_nobody_signs_in_before_an_operator_made_an_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, username: str, password: str
) -> None:
    cheap_passwords(monkeypatch)
    async with world(tmp_path) as w:
        browser = Browser(w)
        page = form_of((await browser.get("/account")).text).fields
        answer = await browser.submit("/account", (page | {"username": username, "password": password}).items())
        assert not answer.is_redirect
        assert "set-cookie" not in answer.headers or "session" not in answer.headers["set-cookie"]
        assert (await w.http.get("/users", headers=await w.admin_headers())).json() == {"users": []}
        await w.put_user(username, "list_menu", password=PASSWORD)
        page = form_of((await browser.get("/account")).text).fields
        fields = page | {"username": username, "password": PASSWORD}
        assert (await browser.submit("/account", fields.items())).status_code == 303


async def test_only_the_operators_own_key_administers(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        body = {"name": "Jo Smith", "password": PASSWORD, "rights": {}}
        assert (await w.http.put("/users/smith", json=body)).status_code == 401
        stranger = await w.client_credentials(SigningKey.generate(), resource=w.url)
        assert (stranger.status_code, stranger.json()["error"]) == (401, "invalid_client")
        agent = await w.client_credentials(w.agent("orders", "list_menu").key, resource=w.url)
        assert agent.status_code == 400
        weak = await w.http.put("/users/smith", json={**body, "password": "1234567"}, headers=await w.admin_headers())
        assert weak.status_code == 400
        assert (await w.http.put("/users/smith", json=body, headers=await w.admin_headers())).status_code == 200


def test_each_deployment_makes_keys_of_its_own_that_nobody_else_reads(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        initialise(folder)
    keys = [sorted((folder / "keys").iterdir()) for folder in folders]
    assert [path.name for path in keys[0]] == [path.name for path in keys[1]]
    assert keys[0]
    for one, other in zip(*keys, strict=True):
        assert one.read_bytes() != other.read_bytes()
        assert stat.S_IMODE(one.stat().st_mode) == 0o600
