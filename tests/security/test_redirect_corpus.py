"""Redirect URIs, a corpus of tricks against every place that registers or uses one (OAU-03; RFC 8252; RFC 9700, 4.1)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bridge.client_documents import parse_client_document
from bridge.redirects import require_redirect_uri
from did_agent.encoding.redirect_uri import is_redirect_uri
from did_agent.errors import InvalidParameter
from issuer.naming import require_redirect
from tests.fakes.bridge_clients import asked, open_to_clients, publisher, register
from tests.fakes.bridge_world import Actor, Browser, World, answered, cheap_passwords, form_of, question, world

pytestmark = pytest.mark.req("OAU-03")

TRICKS = {
    "fragment": ["https://app.example/cb#x", "https://app.example/cb#", "com.example.app:/cb#x"],
    "user information": [
        "https://user@app.example/cb",
        "https://user:pw@app.example/cb",
        "https://app.example@evil.example/cb",
        "https://a@b@app.example/cb",
        "https://app.example%40evil.example/cb",
        "https://app.example:@evil.example/cb",
        "https://@app.example/cb",
        "http://localhost@evil.example/cb",
        "http://127.0.0.1@evil.example/cb",
        "http://127.0.0.1:80@evil.example/cb",
    ],
    "backslash": [
        "https://app.example\\@evil.example/cb",
        "https://app.example\\cb",
        "https://app.example/cb%5c..%5cadmin",
        "http://127.0.0.1\\evil.example/cb",
        "http://localhost\\evil.example/cb",
    ],
    "traversal": [
        "https://app.example/cb/../admin",
        "https://app.example/cb/..",
        "https://app.example/cb/.",
        "https://app.example/./cb",
        "https://app.example/cb/..;/admin",
        "https://app.example/cb;x=/../admin",
        "https://app.example/cb/%2e%2e/admin",
        "https://app.example/cb/%2E%2E%2Fadmin",
        "https://app.example/cb/..%2fadmin",
        "https://app.example/cb%2f..%2fadmin",
        "https://app.example/cb%2F..",
        "https://app.example/cb/%252e%252e/admin",
        "https://app.example/cb%25252fadmin",
        "https://app.example/cb%c0%ae%c0%ae/",
        "com.example.app:/../x",
    ],
    "control characters": [
        "https://app.example/cb\t",
        "https://app.example/cb\n",
        "https://app.example/cb\r\nSet-Cookie: a=b",
        "\thttps://app.example/cb",
        "https://app.example/c\tb",
        "ht\ttps://app.example/cb",
        "java\tscript:alert(1)",
        "https://app.example/cb%00",
        "https://app.example/cb%0d%0aSet-Cookie:a=b",
        "https://app.example/cb%09",
        "https://app.example/cb%7f",
        "https://app.example/cb\x00",
    ],
    "spaces and marks": [
        " https://app.example/cb",
        "https://app.example/cb ",
        "https://app.example/c b",
        "https://app.example/cb<script>",
        'https://app.example/cb"x',
        "https://app.example/cb{x}",
        "https://app.example/cb|x",
        "https://app.example/cb^x",
        "https://app.example/cb`x",
        "https://app.example/cb%",
        "https://app.example/cb%zz",
    ],
    "case": [
        "HTTPS://app.example/cb",
        "Https://app.example/cb",
        "https://APP.example/cb",
        "https://app.Example/cb",
        "Com.Example.App:/cb",
        "http://LOCALHOST/cb",
        "JavaScript:alert(1)",
        "DATA:text/html,x",
    ],
    "names that look alike": [
        "https://\u00e4pp.example/cb",
        "https://app.example\u3002evil.example/cb",
        "https://app\u200b.example/cb",
        "https://\uff41pp.example/cb",
        "https://app.example/\u00e7",
        "http://\u24d8\u24de\u24d2alhost/cb",
    ],
    "hosts that are none": [
        "https://",
        "https:///",
        "https:///app.example/cb",
        "https:app.example/cb",
        "https:/app.example/cb",
        "https://?x",
        "https://.example/cb",
        "https://app..example/cb",
        "https://app.example./cb",
        "https://-app.example/cb",
        "https://app-.example/cb",
        "https://app_.example/cb",
        f"https://{'a' * 64}.example/cb",
        "https://[::1/cb",
        "https://::1/cb",
        "https://[v1.x]/cb",
        "https://*.example/cb",
        "https://app.example/*",
        "//app.example/cb",
        "/cb",
        "cb",
        "?x",
        "",
    ],
    "ports that are none": [
        "https://app.example:/cb",
        "https://app.example:0/cb",
        "https://app.example:0443/cb",
        "https://app.example:65536/cb",
        "https://app.example:99999999999/cb",
        "https://app.example:+443/cb",
        "https://app.example:44 3/cb",
        "https://app.example:\u0664\u0664\u0663/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:080/cb",
        "http://localhost:/cb",
    ],
    "loopback in disguise": [
        "http://app.example/cb",
        "http://localhost./cb",
        "http://localhost.evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.1/cb",
        "http://127.0.0.2/cb",
        "http://127.0.0.01/cb",
        "http://2130706433/cb",
        "http://0x7f000001/cb",
        "http://0177.0.0.1/cb",
        "http://0.0.0.0/cb",
        "http://[::]/cb",
        "http://[0:0:0:0:0:0:0:1]/cb",
        "http://[::ffff:127.0.0.1]/cb",
        "http://[::1%25eth0]/cb",
        "http://127.0.0.1?x=1",
    ],
    "schemes": [
        "javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "about:blank",
        "blob:https://app.example/x",
        "view-source:https://app.example/",
        "intent://x",
        "ftp://app.example/cb",
        "ws://app.example/cb",
        "urn:ietf:wg:oauth:2.0:oob",
        "myapp:/cb",
        "myapp://cb",
        "com.example.app:cb",
        "com.example.app:",
        "com.example.app:/",
        "com.example.app://bank.example/cb",
        "com.example.app:///cb",
        ".com.example:/cb",
        "com..example:/cb",
        "1com.example:/cb",
    ],
}
HONEST = [
    "https://app.example",
    "https://app.example/cb",
    "https://app.example:8443/cb",
    "https://app.example//cb",
    "https://app.example/cb?x=1&y=2",
    "https://app.example/cb?next=%2Fhome",
    "https://app.example/a..b/%C3%A9",
    "https://xn--80ak6aa92e.example/cb",
    "https://[2001:db8::1]/cb",
    "http://127.0.0.1/cb",
    "http://127.0.0.1:9999/cb?x=1",
    "http://[::1]/cb",
]
ON_DEVICE = ["http://localhost/cb", "http://localhost:8080/cb", "com.example.app:/cb", "com.example.app:/cb?x=1"]
ALL_TRICKS = [
    pytest.param(uri, id=f"{why} {number}") for why, uris in TRICKS.items() for number, uri in enumerate(uris)
]

REGISTERED = "https://app.example/cb"
VARIATIONS = [  # of REGISTERED, each well-formed by itself; none is it
    "https://app.example/cb/",
    "https://app.example/cb//",
    "https://app.example//cb",
    "https://app.example/CB",
    "https://app.example/c%62",
    "https://app.example/cb%2Fx",
    "https://app.example/cb?",
    "https://app.example/cb?x=1",
    "https://app.example/cb?code=stolen&state=x",
    "https://app.example/cb/x",
    "https://app.example/",
    "https://app.example",
    "https://app.example:443/cb",
    "https://app.example:8443/cb",
    "https://www.app.example/cb",
    "https://app.example.evil.example/cb",
    "https://evil.example/cb",
    "https://evil.example/https://app.example/cb",
    "http://127.0.0.1/cb",
    "http://localhost/cb",
    "com.example.app:/cb",
]


@pytest.mark.parametrize("uri", ALL_TRICKS)
def test_a_trick_is_registered_nowhere_and_never_used(uri: str) -> None:
    assert not is_redirect_uri(uri)
    with pytest.raises(InvalidParameter):
        require_redirect(uri)
    with pytest.raises(InvalidParameter):
        require_redirect_uri(uri, [uri, REGISTERED])
    document = {"client_id": "https://c.example/d", "client_name": "N", "redirect_uris": [REGISTERED, uri]}
    with pytest.raises(InvalidParameter):
        parse_client_document("https://c.example/d", document)
    assert parse_client_document("https://c.example/d", document | {"redirect_uris": [REGISTERED]})


@pytest.mark.parametrize("uri", [*HONEST, *ON_DEVICE])
def test_an_honest_one_is_kept_as_it_is(uri: str) -> None:
    assert is_redirect_uri(uri)
    assert require_redirect_uri(uri, [REGISTERED, uri]) == uri
    if uri in HONEST:
        assert require_redirect(uri) == uri
    else:  # an agent runs somewhere and is no app on a person's device
        with pytest.raises(InvalidParameter):
            require_redirect(uri)


@pytest.mark.parametrize(
    ("registered", "requested", "matches"),
    [
        ("http://127.0.0.1/cb", "http://127.0.0.1:51000/cb", True),
        ("http://127.0.0.1:9999/cb", "http://127.0.0.1:51000/cb", True),
        ("http://127.0.0.1:9999/cb", "http://127.0.0.1/cb", True),
        ("http://[::1]:1/cb", "http://[::1]:65535/cb", True),
        ("http://127.0.0.1/cb?x=1", "http://127.0.0.1:1/cb?x=1", True),
        ("http://127.0.0.1", "http://127.0.0.1:1", True),
        ("http://127.0.0.1/cb", "http://[::1]:51000/cb", False),
        ("http://127.0.0.1/cb", "http://localhost/cb", False),
        ("http://localhost/cb", "http://127.0.0.1/cb", False),
        ("http://localhost/cb", "http://localhost:51000/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51000/cb/", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51000/cb?x=1", False),
        ("http://127.0.0.1/cb?x=1", "http://127.0.0.1/cb?x=2", False),
        ("http://127.0.0.1/cb", "https://127.0.0.1/cb", False),
        ("https://127.0.0.1/cb", "https://127.0.0.1:51000/cb", False),
        ("https://app.example/cb", "https://app.example:51000/cb", False),
        ("com.example.app:/cb", "com.example.app:/cb2", False),
    ],
)
def test_only_the_port_of_a_loopback_address_is_free(registered: str, requested: str, *, matches: bool) -> None:
    assert require_redirect_uri(registered, [registered]) == registered
    if matches:
        assert require_redirect_uri(requested, [registered]) == requested
    else:
        with pytest.raises(InvalidParameter):
            require_redirect_uri(requested, [registered])


# ---- the same at a real bridge, for each kind of client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clients(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[World, dict[str, str], Actor]]:
    """Run a bridge with an agent, a registered client and one that publishes its document, all with one redirect."""
    with pytest.MonkeyPatch.context() as patch:
        cheap_passwords(patch)
        async with world(tmp_path_factory.mktemp("redirects")) as w, publisher() as site:
            await open_to_clients(w)
            await w.put_user("smith", "list_menu")
            agent = w.agent("orders", "list_menu")
            agent.redirect_uris = (REGISTERED,)
            site.changes = {"redirect_uris": [REGISTERED]}
            await register(w, "legacy", redirect_uris=[REGISTERED])
            yield w, {"agent": agent.did, "registered": "legacy", "document": site.client_id}, agent


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", ["agent", "registered", "document"])
async def test_no_variation_is_ever_redirected_to(clients: tuple[World, dict[str, str], Actor], kind: str) -> None:
    w, ids, agent = clients
    ask: Any = (lambda **changes: question(agent, **changes)) if kind == "agent" else asked
    tricks = [uri for uris in TRICKS.values() for uri in uris if uri]
    for uri in [*VARIATIONS, *tricks]:
        asking = ask(redirect_uri=uri) if kind == "agent" else ask(ids[kind], redirect_uri=uri)
        answer = await w.http.get(asking.path)
        assert (answer.status_code, answer.headers.get("location")) == (400, None), uri
        assert answer.headers["content-type"].startswith("text/html"), uri
    honest = ask(redirect_uri=REGISTERED) if kind == "agent" else ask(ids[kind], redirect_uri=REGISTERED)
    assert answered_at(await _consented(w, honest.path)) == REGISTERED


async def _consented(w: World, path: str) -> Any:
    browser = Browser(w)
    page = form_of((await browser.login(path)).text)
    fields = [*page.fields.items(), ("scope_item", page.boxes[0]), ("decision", "allow")]
    return await browser.submit(path, fields)


def answered_at(answer: Any) -> str:
    assert answered(answer)["code"]
    return str(answer.headers["location"].partition("?")[0])


@pytest.mark.asyncio(loop_scope="module")
async def test_no_trick_is_registered_by_an_operator(clients: tuple[World, dict[str, str], Actor]) -> None:
    w, headers = clients[0], await clients[0].admin_headers()
    for uri in (uri for uris in TRICKS.values() for uri in uris):
        body = {"name": "Odd", "redirect_uris": [uri], "auth_method": "none"}
        answer = await w.http.put(
            "/clients/odd", content=json.dumps(body), headers={**headers, "Content-Type": "application/json"}
        )
        assert answer.status_code == 400, (uri, answer.text)
    for uri in (*HONEST, *ON_DEVICE):
        body = {"name": "Odd", "redirect_uris": [uri], "auth_method": "none"}
        assert (await w.http.put("/clients/odd", json=body, headers=headers)).status_code == 200, uri
