"""A canary run: marked and real secrets through a whole deployment; none stays anywhere it does not belong (OPS-02)."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import secrets
import sqlite3
import sys
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import httpx2
import pytest

from did_agent.adapters.log_lines import LogSettings, set_up_logs
from did_agent.agent import Agent
from did_agent.cli.auditing import export_bytes
from did_agent.cli.demo.person import sign_in_and_consent
from did_agent.cli.demo.tools import Bearer, call
from did_agent.cli.deployment import Deployment
from did_agent.cli.up import running
from did_agent.client.bridge import BridgeClient
from did_agent.client.clients import ClientsClient
from did_agent.client.enrolment import EnrolmentClient
from did_agent.client.registry import RegistryClient
from did_agent.client.webhooks import WebhooksClient
from did_agent.client.wire import send
from did_agent.errors import DidAgentError
from tests.fakes.bridge_world import form_of
from tests.fakes.canaries import Canaries
from tests.fakes.console_world import PAGES as CONSOLE_PAGES
from tests.fakes.otlp_receiver import Receiver, receiving
from tests.integration.test_traces import free_base

CALLBACK = "http://127.0.0.1:8499/callback"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as found:
        monkeypatch.setenv("DID_AGENT_TRACES_URL", found.url)
        yield found


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Return what a deployment that says as much as it can says."""
    written, root, own = io.StringIO(), logging.getLogger(), logging.getLogger("did_agent")
    before = (root.handlers[:], root.level, own.level)
    monkeypatch.setattr(sys, "stderr", written)
    set_up_logs(LogSettings(log_format="json", log_level="debug"))
    yield written
    root.handlers[:], own.level = before[0], before[2]
    root.setLevel(before[1])
    own.setLevel(before[2])


async def walk(at: Deployment, canaries: Canaries) -> None:
    """Put a secret into every input there is, in honest requests and in refused ones."""
    password = canaries.marked("password")
    await at.bridge.put_user("smith", password=password, name="Jo Smith", rights={at.urls.demo_url: ["list_menu"]})
    agent = Agent.create("reader", path=at.data / "wallet")
    canaries.add_keys(at.data / "wallet")
    canaries.add_keys(at.data / "keys")
    made = await at.issuer.create_agent(name="reader", sponsor="Ops", redirect_uris=[CALLBACK])
    await agent.enrol(at.urls.issuer_url, made["agent_id"], made["enrolment"]["challenge"])
    capability = {"resource": [at.urls.demo_url], "tools": {"list_menu": {}, "create_order": {}}}
    issued = await at.issuer.issue_credential(made["agent_id"], capabilities=[capability])
    agent.add_credential(issued["credential"])

    verifier = canaries.marked("code-verifier-of-forty-three-characters-or-more")
    question = {
        "response_type": "code",
        "client_id": agent.did,
        "redirect_uri": CALLBACK,
        "code_challenge": urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "state": "of-the-client-and-handed-back-to-it",
        "resource": at.urls.demo_url,
        "requested_actor": agent.did,
    }
    url = f"{at.urls.bridge_url}/authorize?{urlencode(question)}"
    with pytest.raises(DidAgentError):
        await sign_in_and_consent(url, username="smith", password=canaries.marked("wrong-password"))
    answer = await sign_in_and_consent(url, username="smith", password=password)
    token = await agent.redeem(
        at.urls.bridge_url, at.urls.demo_url, code=answer["code"], code_verifier=verifier, redirect_uri=CALLBACK
    )
    with pytest.raises(DidAgentError):  # a code is good for once
        await agent.redeem(
            at.urls.bridge_url, at.urls.demo_url, code=answer["code"], code_verifier=verifier, redirect_uri=CALLBACK
        )

    prompt = canaries.marked("prompt")
    assert (await call(at.urls.demo_url, Bearer(token), "list_menu", {})).allowed
    assert not (await call(at.urls.demo_url, Bearer(token), "create_order", {"item": prompt, "quantity": 1})).allowed
    own = await agent.token(at.urls.bridge_url, at.urls.demo_url)
    await call(at.urls.demo_url, Bearer(own), "create_order", {"item": prompt, "quantity": 1})
    await call(at.urls.demo_url, agent.presentation_auth(at.urls.demo_url), "list_menu", {})
    await call(at.urls.demo_url, agent.auth(at.urls.demo_url, bridge=at.urls.bridge_url), "list_menu", {})
    await shown_once(at)
    await refused(at, canaries, agent)


async def shown_once(at: Deployment) -> None:
    """Have everything made that is shown once and never again."""
    issuer, bridge = at.urls.issuer_url, at.urls.bridge_url
    hooks = WebhooksClient(issuer, auth=at.operator_auth(issuer))
    made = await hooks.add("http://127.0.0.1:9/hook", ["agent.*"], scheme="v1")
    await hooks.rotate(made["id"])
    await RegistryClient(issuer, auth=at.operator_auth(issuer)).put_template("reader", sponsor="Ops")
    await EnrolmentClient(issuer, auth=at.operator_auth(issuer)).create_token("reader")
    clients = ClientsClient(bridge, auth=at.operator_auth(bridge))
    body = {"name": "Web", "redirect_uris": [CALLBACK], "auth_method": "client_secret_basic"}
    registered = await clients.put("web", body)
    async with httpx2.AsyncClient(trust_env=False, auth=("web", registered["client_secret"])) as http:
        form = {"grant_type": "client_credentials", "resource": at.urls.demo_url}
        await http.post(f"{bridge}/token", data=form)


async def refused(at: Deployment, canaries: Canaries, agent: Agent) -> None:
    """Send what no party takes, with a secret in it."""
    bearer = {"Authorization": f"Bearer {canaries.marked('bearer')}"}
    forged = ".".join(canaries.marked(f"forged-token-{part}").replace("_", "-") for part in "abc")
    canaries.add("forged", forged)
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": canaries.marked("subject-token"),
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "client_secret": canaries.marked("client-secret"),
        "code": canaries.marked("code"),
        "code_verifier": canaries.marked("verifier"),
        "refresh_token": canaries.marked("refresh-token"),
        "client_assertion": forged,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "resource": at.urls.demo_url,
    }
    cookie = {"Cookie": f"__Host-session={canaries.marked('cookie')}; other={canaries.marked('cookie-too')}"}
    odd = {"X-Api-Key": canaries.marked("api-key"), "User-Agent": f"curl {canaries.marked('user-agent')}"}
    line = {b"X-Request-Id": "x\u2028y".encode(), b"traceparent": canaries.marked("traceparent").encode()}
    async with httpx2.AsyncClient(trust_env=False) as http:
        for base in (at.urls.bridge_url, at.urls.issuer_url, at.urls.ledger_url, at.urls.demo_url):
            for path in ("", "/agents", "/events", "/users", "/token", "/account"):
                for headers in (bearer, {"Authorization": f"Bearer {forged}"}, cookie, odd, line):
                    await http.get(base + path, headers=headers)
                    await http.get(base + path, params={"access_token": canaries.marked("token-in-url")})
                body = {"password": {"x": canaries.marked("password-in-json")}, "token": canaries.marked("in-json")}
                await http.post(base + path, json=body, headers=bearer)
                await http.post(base + path, content=b'{"password": "' + canaries.marked("cut-short").encode())
        for grant in (form["grant_type"], "authorization_code", "refresh_token", "password", "client_credentials"):
            await http.post(f"{at.urls.bridge_url}/token", data={**form, "grant_type": grant})
        for path in ("/revoke", "/introspect", "/par", "/bc-authorize"):
            await http.post(f"{at.urls.bridge_url}{path}", data={**form, "token": canaries.marked("revoked-token")})
        offered = {"token": canaries.marked("enrolment-token"), "possession": canaries.marked("possession")}
        await http.post(f"{at.urls.issuer_url}/enrolments", json=offered)
        shown = agent.present(at.urls.bridge_url, challenge=secrets.token_urlsafe(24), resource=at.urls.demo_url)
        vp = urlsafe_b64encode(json.dumps(shown).encode()).decode()
        await http.post(f"{at.urls.bridge_url}/token", data={**form, "subject_token": vp})


async def looked_at(at: Deployment, canaries: Canaries) -> None:
    """Walk through the console as an admin, and ask it about a token."""
    password = canaries.marked("admin-password")
    body = {"name": "Robin", "password": password, "rights": {}, "operates": ["admin"]}
    await send(
        "bridge", at.urls.bridge_url, "PUT", "/users/robin", auth=at.operator_auth(at.urls.bridge_url), json=body
    )
    token = await BridgeClient(at.urls.bridge_url).client_credentials(at.operator_key, resource=at.urls.ledger_url)
    async with httpx2.AsyncClient(trust_env=False, follow_redirects=True, timeout=30) as http:
        page = await http.get(at.urls.console_url)
        form = form_of(page.text).fields | {"username": "robin", "password": password}
        await http.post(str(page.url), data=form, headers={"Origin": at.urls.bridge_url})
        for place in CONSOLE_PAGES:
            shown = await http.get(at.urls.console_url + place)
            assert (place, shown.status_code, str(shown.url)) == (place, 200, at.urls.console_url + place)
        asked = {"mark": form_of(shown.text).fields["mark"], "text": token}
        told = await http.post(f"{at.urls.console_url}/why", data=asked, headers={"Origin": at.urls.console_url})
        assert told.status_code == 200
        await http.post(f"{at.urls.console_url}/why", data={**asked, "mark": canaries.marked("false-mark")})


async def ready(at: Deployment) -> None:
    """Return when the guard has all it judges by; on a busy machine that takes a moment."""
    origin = at.urls.demo_url.removesuffix(urlsplit(at.urls.demo_url).path)
    async with httpx2.AsyncClient(trust_env=False) as http, asyncio.timeout(30):
        while (await http.get(f"{origin}/readyz")).status_code != 200:
            await asyncio.sleep(0.1)


async def sinks(at: Deployment) -> AsyncIterator[tuple[str, bytes]]:
    """Yield what the running parties show to whoever watches over them."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        for base in (at.urls.bridge_url, at.urls.issuer_url, at.urls.ledger_url, at.urls.console_url):
            for path in ("/metrics", "/readyz"):
                answer = await http.get(base + path)
                assert answer.status_code == 200, (base, path, answer.text)
                yield base + path, answer.content
    yield "export", await export_bytes(at)


def files(data: Path) -> Iterator[tuple[str, bytes]]:
    """Yield everything a deployment wrote, but for its keys and the agents' wallet."""
    for path in data.rglob("*"):
        if path.is_file() and not {"keys", "wallet"} & set(path.relative_to(data).parts):
            yield str(path.relative_to(data)), path.read_bytes()
    for path in data.glob("*.db"):
        with sqlite3.connect(path) as database:
            yield f"{path.name} as text", "\n".join(database.iterdump()).encode()


@pytest.mark.req("OPS-01", "OPS-02", "OPS-03", "OPS-04")
async def test_no_secret_stays_in_logs_traces_metrics_answers_databases_the_ledger_or_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: Receiver, log: io.StringIO
) -> None:
    canaries, hits, data = Canaries(), list[tuple[str, str, str]](), tmp_path / "data"
    canaries.watch(monkeypatch)
    async with running(data, free_base()) as at:
        await ready(at)
        await walk(at, canaries)
        await looked_at(at, canaries)
        await asyncio.sleep(0.5)  # until what was recorded is delivered
        exported = [found async for found in sinks(at)]
        hits += [hit for where, content in files(data) for hit in canaries.found_in(where, content)]
    for where, content in (
        *exported,
        ("log", log.getvalue()),
        *(("span", one) for one in receiver.raw),
        *(("refusal", one) for one in canaries.refusals),
        *(("page", one) for one in canaries.pages),
        *files(data),
    ):
        hits += canaries.found_in(where, content)
    kinds = {
        "authorization",
        "dpop",
        "cookie",
        "key",
        "code",
        "password",
        "client_assertion",
        "csrf_token",
        "client_secret",
        "secret",
        "token",
    }
    assert kinds <= canaries.secrets.keys()
    assert sum(map(len, canaries.secrets.values())) > 60
    assert len(canaries.refusals) > 100
    assert len(canaries.pages) > len(CONSOLE_PAGES)
    assert receiver.spans
    lines = [json.loads(line) for line in log.getvalue().splitlines()]  # one object a line, whatever came in
    assert {line["logger"] for line in lines} >= {"did_agent.access"}
    for kind, values in canaries.secrets.items():  # what is looked for would be found
        assert list(canaries.found_in("here", f"a line with {min(values)} in it")), kind
    assert sorted(set(hits)) == []
