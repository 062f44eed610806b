"""Forms are the schemas that requests are judged by; announcements say little and always the same."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from did_agent.audit.event import AuditEvent
from did_agent.credential.capability import parse_bare_capability
from did_agent.errors import DidAgentError, NotFound
from issuer.forms import FORMS, describe_form
from issuer.model.webhooks import Endpoint
from issuer.webhooks import FIRST_WAIT, KINDS, LAST_WAIT, announcement_of, shared_secret, signing_key, wait_after
from tests.fakes.guard_world import NOW

TOOLS = {
    "create_order": {
        "title": "Create an order",
        "description": "Orders a dish.",
        "inputSchema": {
            "type": "object",
            "properties": {"dish": {"type": "string", "enum": ["soup", "bread"]}, "quantity": {"type": "integer"}},
        },
    },
    "list_menu": {},
}
CAPABILITIES: list[dict[str, Any]] = [
    {"resource": ["https://mcp.example/mcp"], "tools": {"list_menu": {}}},
    {
        "resource": ["https://mcp.example/mcp"],
        "tools": {"create_order": {"quantity": {"constraint_type": "range", "min": 1, "max": 3}}},
        "limits": {"maxCalls": 3, "windowSeconds": 60},
    },
    {"resource": [], "tools": {}},
    {"resource": ["https://mcp.example/mcp"]},
    {"resource": ["https://mcp.example/mcp"], "tools": {"a b": {}}},
    {"resource": ["https://mcp.example/mcp"], "tools": {"a": {"x": {"constraint_type": "regex"}}}},
    {"resource": ["https://mcp.example/mcp"], "tools": {"a": {}}, "limits": {}},
    {"type": "AgentCapability", "resource": ["https://mcp.example/mcp"], "tools": {"a": {}}},
]


def is_read(capability: dict[str, Any]) -> bool:
    try:
        parse_bare_capability(capability)
    except DidAgentError:
        return False
    return True


@pytest.mark.parametrize("known", [{}, TOOLS])
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_the_form_of_a_grant_takes_what_the_issuer_takes(capability: dict[str, Any], known: dict[str, Any]) -> None:
    form: Any = describe_form("capability", resource="https://mcp.example/mcp", tools=known)
    jsonschema.Draft202012Validator.check_schema(form["schema"])
    fits = jsonschema.Draft202012Validator(form["schema"]).is_valid({"capabilities": [capability]})
    assert fits == is_read(capability)


def test_known_tools_become_choices_with_constraints_that_fit_their_arguments() -> None:
    form: Any = describe_form("capability", resource="https://mcp.example/mcp", tools=TOOLS)
    tools = form["schema"]["$defs"]["capability"]["properties"]["tools"]["properties"]
    assert tools.keys() == TOOLS.keys()
    dish, quantity = (tools["create_order"]["properties"][name]["x-ui"] for name in ("dish", "quantity"))
    assert (dish["values"], dish["constraints"][0]) == (["soup", "bread"], "one_of")
    assert quantity["constraints"][0] == "range"


@pytest.mark.parametrize("name", sorted(FORMS))
def test_every_field_of_a_form_has_words_a_place_and_a_widget(name: str) -> None:
    form: Any = describe_form(name, templates=["menu"], roles=["waiter"])
    jsonschema.Draft202012Validator.check_schema(form["schema"])
    assert list(form["schema"]["properties"]) == form["ui"]["order"][""]
    for field in form["schema"]["properties"]:
        assert form["ui"]["fields"][field].keys() == {"label", "help", "widget"}
    with pytest.raises(NotFound):
        describe_form("unknown")


def event(**changes: Any) -> AuditEvent:
    values: dict[str, Any] = dict.fromkeys(AuditEvent.__dataclass_fields__)
    said = {
        "id": "urn:uuid:00000000-0000-4000-8000-000000000001",
        "time": NOW,
        "action": "credential.revoke",
        "target": "urn:uuid:c1",
        "decision": "allow",
        "explanation": "private words",
        "principal": "did:key:operator",
        "details": {"agent": "did:key:agent", "organisation": "acme", "reason": "private words"},
    }
    return AuditEvent(**{**values, **said, **changes})


def test_an_announcement_names_what_and_whom_and_nothing_else() -> None:
    told = announcement_of(event())
    assert told is not None
    assert (told.kind, told.organisation) == ("credential.revoked", "acme")
    assert "." not in told.id  # the signature is over id.timestamp.body
    assert "private" not in told.body
    assert "operator" not in told.body
    assert announcement_of(event(decision="deny")) is None
    assert announcement_of(event(action="tool.call")) is None
    assert all(announcement_of(event(action=action)) for action in KINDS)


def test_keys_of_webhooks_differ_by_organisation_webhook_generation_and_use() -> None:
    def hook(organisation: str, name: str) -> Endpoint:
        return Endpoint(
            organisation=organisation,
            id=name,
            url="",
            topics=("*",),
            description="",
            scheme="v1",
            by="",
            created=NOW,
        )

    roots, hooks = (b"a" * 32, b"b" * 32), [hook(org, name) for org in ("x", "y") for name in ("1", "2")]
    secrets = {shared_secret(root, one, generation) for root in roots for one in hooks for generation in (1, 2)}
    keys = {signing_key(root, one, generation).public.raw for root in roots for one in hooks for generation in (1, 2)}
    assert (len(secrets), len(keys)) == (16, 16)
    assert shared_secret(roots[0], hooks[0], 1) == shared_secret(roots[0], hooks[0], 1)


def test_waits_double_up_to_an_hour_and_spread() -> None:
    waits = [wait_after(attempt, spread=1.0).total_seconds() for attempt in range(1, 30)]
    assert waits[:3] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT]
    assert waits[-1] == LAST_WAIT
    assert wait_after(3, spread=0.0).total_seconds() == waits[2] / 2
