"""Credentials: the list, one of them, granting and taking back."""

from __future__ import annotations

from typing import Any, Final

from console.pages.abilities import capabilities_of
from console.web.rendering import segment
from console.web.visit import Answer, Away, Page, Route, Trouble, Visit, rows_of, trouble
from did_agent.client.errors import ServerRefused

STATES: Final = ("active", "suspended", "revoked")
CHANGES: Final = {"suspend": "suspended", "resume": "resumed", "revoke": "revoked"}
PAGE: Final = 50
_HOUR: Final = 3600
_HOURS: Final = 24 * 365


async def index(visit: Visit) -> Answer:
    """Show credentials, page by page."""
    asked = {name: visit.query.get(name) for name in ("agent", "state")}
    found = await visit.part("issuer", "/credentials", limit=PAGE, after=visit.query.get("after"), **asked)
    rows = [{**one, "grants": list(capabilities_of(one))} for one in rows_of(found, "credentials")]
    return Page(
        template="credentials.html",
        values={"found": found, "credentials": rows, "asked": asked, "states": STATES},
    )


async def show(visit: Visit) -> Answer:
    """Show one credential."""
    return await _credential(visit)


async def _credential(visit: Visit, refused: Trouble | None = None) -> Answer:
    at = f"/credentials/{segment(visit.path['identifier'])}"
    found = await visit.get("issuer", at)
    impact = await visit.part("issuer", f"{at}/impact") if found["state"] == "active" else None
    return Page(
        template="credential.html",
        values={
            "one": found,
            "grants": list(capabilities_of(found)),
            "impact": impact,
            "refused": refused,
            "may": visit.may("issuer", "issuer:admin", "issuer:manage", "issuer:sponsor"),
        },
        status=200 if refused is None else 409,
    )


async def change(visit: Visit) -> Answer:
    """Suspend, resume or revoke a credential."""
    what, at = visit.path["change"], f"/credentials/{segment(visit.path['identifier'])}"
    if what not in CHANGES:
        return Away(to=at)
    try:
        await visit.change("issuer", "POST", f"{at}/{what}", {"reason": visit.form.get("reason") or ""})
    except ServerRefused as error:
        return await _credential(visit, trouble(error))
    return Away(to=at, said=CHANGES[what])


async def grant(visit: Visit) -> Answer:
    """Show what can be granted to an agent."""
    return await _grant(
        visit, {"resource": visit.query.get("resource") or "", "hours": "24", "tools": "", "max_depth": "0"}
    )


async def _grant(visit: Visit, entered: dict[str, Any], refused: Trouble | None = None) -> Answer:
    agent = await visit.get("issuer", f"/agents/{segment(visit.path['identifier'])}")
    (resources,) = await visit.parts(visit.part("bridge", "/resources"))
    known = [one for one in rows_of(resources, "resources") if not one.get("built_in")]
    return Page(
        template="grant.html",
        values={"agent": agent, "known": known, "entered": entered, "refused": refused},
        status=200 if refused is None else 400,
    )


async def granted(visit: Visit) -> Answer:
    """Issue a capability credential."""
    entered = {name: visit.form.get(name) or "" for name in ("resource", "tools", "hours", "max_depth")}
    ticked = visit.form.all("scope_item")
    tools = [*(one.removeprefix("tool:") for one in ticked), *entered["tools"].replace(",", " ").split()]
    hours, depth = entered["hours"], entered["max_depth"] or "0"
    at = f"/agents/{segment(visit.path['identifier'])}"
    if not hours.isdigit() or not 0 < int(hours[:6]) <= _HOURS or not depth.isdigit() or not tools:
        wrong = Trouble(
            title="Hours and depth are whole numbers, and at least one tool is named.",
            code="invalid_parameter",
            what_to_do="Nothing was granted. Correct the form and send it again.",
        )
        return await _grant(visit, entered, wrong)
    body = {
        "capabilities": [{"resource": [entered["resource"]], "tools": {tool: {} for tool in tools}}],
        "valid_seconds": int(hours) * _HOUR,
        "max_depth": int(depth[:3]),
    }
    try:
        await visit.change("issuer", "POST", f"{at}/credentials", body)
    except ServerRefused as error:
        return await _grant(visit, entered, trouble(error))
    return Away(to=at, said="granted")


ROUTES: Final = (
    Route(path="/credentials", handler=index),
    Route(path="/credentials/{identifier}", handler=show),
    Route(path="/credentials/{identifier}/{change}", handler=change, method="POST"),
    Route(path="/agents/{identifier}/grant", handler=grant),
    Route(path="/agents/{identifier}/grant", handler=granted, method="POST"),
)
