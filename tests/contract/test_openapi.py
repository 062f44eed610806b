"""What every party publishes as OpenAPI is true: all its routes, what they take and answer, how they refuse."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bridge.api.openapi import OPERATIONS as BRIDGE
from bridge.api.openapi import SECURITY as BRIDGE_SECURITY
from did_agent.adapters.openapi import PATH, Operation, Schema, describe, served_by
from issuer.api.openapi import OPERATIONS as ISSUER
from issuer.api.openapi import SECURITY as ISSUER_SECURITY
from ledger.api.openapi import OPERATIONS as LEDGER
from ledger.api.openapi import SECURITY as LEDGER_SECURITY
from tests.fakes.deployment import PARTIES, Deployed, deployed
from verifier.vc_api.openapi import OPERATIONS as VC_API

TABLES: dict[str, tuple[Mapping[str, Operation], Mapping[str, Schema]]] = {
    "bridge": (BRIDGE, BRIDGE_SECURITY),
    "issuer": (ISSUER, ISSUER_SECURITY),
    "ledger": (LEDGER, LEDGER_SECURITY),
    "vc_api": (VC_API, {}),
}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
PROTECTED = {"operator", "reader", "party", "agent"}  # schemes that a bearer token opens


def schema_of(party: str) -> Any:
    operations, security = TABLES[party]
    document = describe(operations, operations, title=party, url="http://party.example", security=security)
    schema = schemathesis.openapi.from_dict(document)
    schema.config.phases.coverage.enabled = False
    return schema


@schemathesis.serializer("application/secevent+jwt")
def _compact(_context: Any, value: Any) -> bytes:
    return str(value).encode("utf-8", "replace")


def few(examples: int) -> Any:
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with deployed(tmp_path_factory.mktemp("openapi")) as running:
        yield running


@pytest.fixture(scope="module")
def tokens(everywhere: Deployed) -> dict[str, str]:
    return {party: f"Bearer {everywhere.token(party)}" for party in ("bridge", "issuer", "ledger")}


@pytest.fixture(scope="module")
def client(everywhere: Deployed, tokens: dict[str, str]) -> str:
    """Register a client; return how it authenticates."""
    body = {"name": "Legacy", "redirect_uris": ["https://app.example/cb"], "auth_method": "client_secret_basic"}
    url = f"{everywhere.urls['bridge']}/clients/legacy"
    answer = httpx2.put(url, json=body, headers={"Authorization": tokens["bridge"]}, trust_env=False)
    assert answer.status_code == 200, answer.text
    pair = f"legacy:{answer.json()['client_secret']}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def exercise(case: Any, party: str, deployment: Deployed, authorization: str | None) -> None:
    """Send one generated request, with authorization or without, and check the answer."""
    case.headers.pop("Authorization", None)
    if "wait" in (case.query or {}):
        case.query["wait"] = 0  # nobody waits for news here
    headers = {} if authorization is None else {"Authorization": authorization}
    for carried in (case.query, case.body):
        if isinstance(carried, dict):
            for name in ("client_secret", "client_assertion", "client_assertion_type"):
                carried.pop(name, None)  # one authentication a request; another is refused before anything is read
    response = case.call(base_url=deployment.urls[party], headers=headers, allow_redirects=False)
    case.validate_response(response, checks=CHECKS)
    schemes = set(TABLES[party][0][f"{case.method.upper()} {case.path}"].auth)
    if authorization is None and schemes & PROTECTED and "" not in schemes:
        assert response.status_code in (400, 401), (case.method, case.path, response.status_code)


bridge, issuer, ledger, vc_api = (schema_of(party) for party in PARTIES)


@bridge.parametrize()
@few(8)
def test_the_operators_bridge(case: Any, everywhere: Deployed, tokens: dict[str, str]) -> None:
    exercise(case, "bridge", everywhere, tokens["bridge"])


@schema_of("bridge").include(path_regex="^/(token|par|introspect|revoke|access/.*|policy/bundle)$").parametrize()
@few(15)
def test_a_clients_bridge(case: Any, everywhere: Deployed, client: str) -> None:
    exercise(case, "bridge", everywhere, client)


@bridge.parametrize()
@few(3)
def test_anybodys_bridge(case: Any, everywhere: Deployed) -> None:
    exercise(case, "bridge", everywhere, None)


@issuer.parametrize()
@few(8)
def test_the_operators_issuer(case: Any, everywhere: Deployed, tokens: dict[str, str]) -> None:
    exercise(case, "issuer", everywhere, tokens["issuer"])


@issuer.parametrize()
@few(3)
def test_anybodys_issuer(case: Any, everywhere: Deployed) -> None:
    exercise(case, "issuer", everywhere, None)


@ledger.parametrize()
@few(8)
def test_the_readers_ledger(case: Any, everywhere: Deployed, tokens: dict[str, str]) -> None:
    exercise(case, "ledger", everywhere, tokens["ledger"])


@ledger.parametrize()
@few(3)
def test_anybodys_ledger(case: Any, everywhere: Deployed) -> None:
    exercise(case, "ledger", everywhere, None)


@vc_api.parametrize()
@few(8)
def test_the_vc_api(case: Any, everywhere: Deployed) -> None:
    exercise(case, "vc_api", everywhere, None)


@pytest.mark.parametrize("party", PARTIES)
def test_the_description_lies_at_its_fixed_place_and_names_every_route(everywhere: Deployed, party: str) -> None:
    published = httpx2.get(everywhere.urls[party] + PATH, trust_env=False)
    assert published.status_code == 200
    document = published.json()
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": everywhere.urls[party]}]
    described = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert described == served_by(_app(party, everywhere))
    assert described <= TABLES[party][0].keys()


@pytest.mark.req("WEB-01")
@pytest.mark.parametrize("party", PARTIES)
def test_every_operation_says_how_it_answers_refuses_and_who_may_call(everywhere: Deployed, party: str) -> None:
    document = httpx2.get(everywhere.urls[party] + PATH, trust_env=False).json()
    schemes = document["components"]["securitySchemes"]
    shapes = document["components"]["schemas"]
    names = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            names.append(operation["operationId"])
            good = [status for status in operation["responses"] if status[0] in "23"]
            assert good, (method, path)
            for status in ("4XX", "503"):
                assert "application/problem+json" in operation["responses"][status]["content"], (method, path)
            assert {name for one in operation.get("security", []) for name in one} <= set(schemes), (method, path)
            used = re.findall(r"#/components/schemas/(\w+)", str(operation))
            assert set(used) <= set(shapes), (method, path)
    assert len(names) == len(set(names))


def _app(party: str, deployment: Deployed) -> Any:
    """Return the framework's app inside a party's hardened one."""
    found = deployment.apps[party]
    while not hasattr(found, "openapi"):
        found = found._app  # noqa: SLF001  # the layers around it have no other name for it
    return found
