"""Policy: what is in force, a draft beside it, what is wrong with it, what would change, and publishing."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from console.web.visit import Answer, Away, Page, Route, Trouble, Visit, rows_of, trouble
from did_agent.adapters.cedar import Cedar
from did_agent.client.errors import ServerRefused
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import DidAgentError
from did_agent.policy.active import activate
from did_agent.policy.document import PolicyDocument, parse_policy
from did_agent.policy.lint import Finding, errors_in, lint
from did_agent.policy.replay import Replay, replay

MAX_SHOWN: Final = 50  # decisions that would come out otherwise
_TOOL: Final = "tool:"


async def index(visit: Visit) -> Answer:
    """Show the policy in force, as a draft to begin with."""
    return await _editor(visit, None)


async def draft(visit: Visit) -> Answer:
    """Look into a draft, or publish it."""
    text, wants = visit.form.get("text") or "", visit.form.get("step")
    try:
        members = parse_object(text.encode())
        document = parse_policy(members)
        findings = lint(document, language=Cedar(), resources=await _places(visit))
        simulated = None if errors_in(findings) else await _simulate(visit, document)
        if wants != "publish" or simulated is None:
            return await _editor(visit, text, findings=findings, simulated=simulated)
        await visit.change("bridge", "PUT", "/policy", _body(visit, members))
    except (ServerRefused, DidAgentError) as error:
        return await _editor(visit, text, refused=trouble(error))
    return Away(to="/policy", said="published")


async def roll_back(visit: Visit) -> Answer:
    """Publish an earlier version again."""
    version = visit.path["version"]
    body = {"version": int(version) if version.isdigit() else 0, "note": visit.form.get("reason") or ""}
    try:
        await visit.change("bridge", "POST", "/policy/rollback", body)
    except ServerRefused as error:
        return await _editor(visit, None, refused=trouble(error))
    return Away(to="/policy", said="published")


async def version(visit: Visit) -> Answer:
    """Show one version, and how it differs from the one in force."""
    number = visit.path["version"]
    if not number.isdigit():
        return Away(to="/policy")
    one = await visit.get("bridge", f"/policy/versions/{number}")
    current = await visit.get("bridge", "/policy")
    lines = list(differences(_text(one.get("policy")), _text(current.get("policy"))))
    values = {"one": one, "text": _text(one.get("policy")), "lines": lines, "current": current}
    return Page(template="policy_version.html", values=values)


async def _editor(
    visit: Visit,
    text: str | None,
    *,
    findings: Iterable[Finding] = (),
    simulated: Replay | None = None,
    refused: Trouble | None = None,
) -> Answer:
    current, versions = await visit.parts(visit.part("bridge", "/policy"), visit.part("bridge", "/policy/versions"))
    in_force = "" if isinstance(current, Trouble) else _text(current.get("policy"))
    shown = in_force if text is None else text
    return Page(
        template="policy.html",
        values={
            "current": current,
            "versions": rows_of(versions, "versions"),
            "text": shown,
            "is_draft": text is not None,
            "lines": list(differences(in_force, shown)),
            "findings": list(findings),
            "simulated": simulated,
            "changes": [] if simulated is None else list(simulated.changes)[:MAX_SHOWN],
            "refused": refused,
            "may": visit.may("bridge", "bridge:admin"),
        },
        status=200 if refused is None else 400,
    )


def differences(before: str, after: str) -> Iterable[tuple[str, str]]:
    """Yield what differs between two texts, line by line: what it is, and the line."""
    kinds = {"+": "added", "-": "taken", "@": "place"}
    for line in list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))[2:]:
        yield kinds.get(line[:1], "same"), line


async def _places(visit: Visit) -> Mapping[str, frozenset[str]] | None:
    found = await visit.part("bridge", "/resources")
    if isinstance(found, Trouble):
        return None
    return {
        str(one["resource"]): frozenset(
            scope.removeprefix(_TOOL) for scope in one.get("scopes", {}) if scope.startswith(_TOOL)
        )
        for one in rows_of(found, "resources")
        if not one.get("built_in")
    }


async def _simulate(visit: Visit, document: PolicyDocument) -> Replay | None:
    found = await visit.part("ledger", "/events", newest="true", limit=500)
    if isinstance(found, Trouble):
        return None
    rules = Cedar().compile(document.rules) if document.rules else None
    candidate = activate(document, version=0, rules=rules)
    return replay(candidate, [row["event"] for row in rows_of(found, "events")])


def _body(visit: Visit, members: Mapping[str, object]) -> dict[str, object]:
    follows = visit.form.get("follows") or ""
    return {
        "policy": dict(members),
        "note": visit.form.get("note") or "",
        "acknowledge": visit.form.get("acknowledge") == "yes",
        **({"follows": int(follows)} if follows.isdigit() else {}),
    }


def _text(policy: Any) -> str:
    return json.dumps(policy, indent=2, ensure_ascii=False, sort_keys=True)


ROUTES: Final = (
    Route(path="/policy", handler=index),
    Route(path="/policy", handler=draft, method="POST"),
    Route(path="/policy/{version}", handler=version),
    Route(path="/policy/{version}/rollback", handler=roll_back, method="POST"),
)
