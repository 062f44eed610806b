"""The smaller places: consents, trust, keys, people, switches, settings and the reference."""

from __future__ import annotations

from typing import Any, Final

from console.model import PARTIES
from console.web.rendering import segment
from console.web.visit import Answer, Away, Page, Route, Trouble, Visit, rows_of, trouble
from did_agent.client.errors import ServerRefused
from did_agent.clock import format_milliseconds

SCOPES: Final = ("sponsor", "template", "group", "organisation")  # of kill switches
ROLES: Final = ("admin", "manager", "auditor", "sponsor")


async def consents(visit: Visit) -> Answer:
    """Show what people allowed, and the tasks that run on it."""
    events, tasks = await visit.parts(
        visit.part("ledger", "/events", action=visit.query.get("action") or "consent.give", newest="true", limit=100),
        visit.part("bridge", "/tasks"),
    )
    values = {
        "events": events,
        "rows": rows_of(events, "events")[::-1],
        "tasks": tasks,
        "running": rows_of(tasks, "tasks"),
        "account": f"{visit.urls['bridge']}/account",
    }
    return Page(template="consents.html", values=values)


async def trust(visit: Visit) -> Answer:
    """Show whose word counts here."""
    return await _trust(visit)


async def _trust(visit: Visit, refused: Trouble | None = None, entered: dict[str, str] | None = None) -> Answer:
    found, issuers = await visit.parts(visit.part("issuer", "/trust"), visit.part("bridge", "/trusted-issuers"))
    values = {
        "found": found,
        "entries": rows_of(found, "trust"),
        "issuers": issuers,
        "upstream": rows_of(issuers, "trusted_issuers"),
        "refused": refused,
        "entered": entered or {"issuer": "", "resources": "", "note": ""},
        "may": visit.may("issuer", "issuer:admin"),
    }
    return Page(template="trust.html", values=values, status=200 if refused is None else 400)


async def add_trust(visit: Visit) -> Answer:
    """Trust another deployment's issuer for servers of ours."""
    entered = {name: visit.form.get(name) or "" for name in ("issuer", "resources", "note")}
    body = {
        "issuer": entered["issuer"],
        "resources": entered["resources"].replace(",", " ").split(),
        "note": entered["note"],
    }
    try:
        made = await visit.change("issuer", "POST", "/trust", body)
    except ServerRefused as error:
        return await _trust(visit, trouble(error), entered)
    return Away(to="/trust", said="asked" if "proposal" in made else "added")


async def drop_trust(visit: Visit) -> Answer:
    """Trust an issuer no more."""
    try:
        await visit.change("issuer", "DELETE", f"/trust/{segment(visit.path['identifier'])}", None)
    except ServerRefused as error:
        return await _trust(visit, trouble(error))
    return Away(to="/trust", said="removed")


async def keys(visit: Visit) -> Answer:
    """Show the keys that the parties sign with."""
    issuer, bridge, operators, checkpoint = await visit.parts(
        visit.part("issuer", "/issuer-keys"),
        visit.part("bridge", "/signing-keys"),
        visit.part("bridge", "/operators"),
        visit.part("ledger", "/key"),
    )
    values = {
        "issuer": issuer,
        "issuing": rows_of(issuer, "issuer_keys"),
        "bridge": bridge,
        "signing": rows_of(bridge, "signing_keys"),
        "operators": rows_of(operators, "operators"),
        "ledger": checkpoint,
    }
    return Page(template="keys.html", values=values)


async def people(visit: Visit) -> Answer:
    """Show who can sign in, as what, and who owns agents."""
    return await _people(visit)


async def _people(visit: Visit, refused: Trouble | None = None) -> Answer:
    users, principals = await visit.parts(visit.part("bridge", "/users"), visit.part("issuer", "/principals"))
    values = {
        "users": users,
        "found": rows_of(users, "users"),
        "principals": rows_of(principals, "principals"),
        "roles": ROLES,
        "refused": refused,
        "may": visit.may("bridge", "bridge:admin"),
    }
    return Page(template="people.html", values=values, status=200 if refused is None else 400)


async def place_person(visit: Visit) -> Answer:
    """Say whose a person is, and as what they operate it."""
    body = {
        "username": visit.path["username"],
        "organisation": visit.form.get("organisation") or "",
        "operates": [role for role in ROLES if role in visit.form.all("scope_item")],
    }
    try:
        await visit.change("bridge", "PUT", "/user-organisations", body)
    except ServerRefused as error:
        return await _people(visit, trouble(error))
    return Away(to="/people", said="saved")


async def switches(visit: Visit) -> Answer:
    """Show what is stopped, and what a switch would stop."""
    return await _switches(visit)


async def _switches(visit: Visit, refused: Trouble | None = None) -> Answer:
    asked = {name: visit.query.get(name) or "" for name in ("scope", "target")}
    impact: Any = None
    found = await visit.part("issuer", "/kill-switches")
    if asked["scope"]:
        impact = await visit.part("issuer", "/kill-switches/impact", **asked)
    values = {
        "found": found,
        "switches": rows_of(found, "switches"),
        "asked": asked,
        "impact": impact,
        "scopes": SCOPES,
        "refused": refused,
        "may": visit.may("issuer", "issuer:admin", "issuer:manage"),
    }
    return Page(template="switches.html", values=values, status=200 if refused is None else 400)


async def stop(visit: Visit) -> Answer:
    """Stop all agents of a scope."""
    body: dict[str, object] = {"scope": visit.form.get("scope") or "", "reason": visit.form.get("reason") or ""}
    if target := visit.form.get("target"):
        body["target"] = target
    try:
        made = await visit.change("issuer", "POST", "/kill-switches", body)
    except ServerRefused as error:
        return await _switches(visit, trouble(error))
    return Away(to="/switches", said="asked" if "proposal" in made else "stopped")


async def lift(visit: Visit) -> Answer:
    """Let go what a switch stopped."""
    at = f"/kill-switches/{segment(visit.path['identifier'])}/lift"
    try:
        made = await visit.change("issuer", "POST", at, {"reason": visit.form.get("reason") or ""})
    except ServerRefused as error:
        return await _switches(visit, trouble(error))
    return Away(to="/switches", said="asked" if "proposal" in made else "lifted")


async def reference(visit: Visit) -> Answer:
    """Show every operation of every party, from what they publish themselves."""
    documents = await visit.parts(*(visit.part(party, "/openapi.json") for party in PARTIES))
    found = []
    for party, document in zip(PARTIES, documents, strict=True):
        paths = {} if isinstance(document, Trouble) else document.get("paths") or {}
        rows = [
            (method.upper(), path, str(operation.get("summary", "")))
            for path, item in paths.items()
            for method, operation in item.items()
            if isinstance(operation, dict)
        ]
        found.append((party, visit.urls[party], document if isinstance(document, Trouble) else None, rows))
    return Page(template="reference.html", values={"found": found})


def settings_page(shown: list[dict[str, str]]) -> Route:
    """Return the page of settings; `shown` has the name, the value and the source of each."""

    async def index(visit: Visit) -> Answer:
        health = await visit.parts(*(visit.part(party, "/readyz") for party in PARTIES))
        parts = [(party, visit.urls[party], found) for party, found in zip(PARTIES, health, strict=True)]
        values = {"settings": shown, "parties": parts, "read": format_milliseconds(visit.now)}
        return Page(template="settings.html", values=values)

    return Route(path="/settings", handler=index)


ROUTES: Final = (
    Route(path="/consents", handler=consents),
    Route(path="/trust", handler=trust),
    Route(path="/trust", handler=add_trust, method="POST"),
    Route(path="/trust/{identifier}/remove", handler=drop_trust, method="POST"),
    Route(path="/keys", handler=keys),
    Route(path="/people", handler=people),
    Route(path="/people/{username}", handler=place_person, method="POST"),
    Route(path="/switches", handler=switches),
    Route(path="/switches", handler=stop, method="POST"),
    Route(path="/switches/{identifier}/lift", handler=lift, method="POST"),
    Route(path="/reference", handler=reference),
)
