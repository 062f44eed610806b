"""Agents: the list, one agent's page, and a new one."""

from __future__ import annotations

from typing import Any, Final

from console.drawing.qr import qr
from console.pages.abilities import abilities
from console.web.rendering import segment
from console.web.visit import Answer, Away, Page, Route, Trouble, Visit, rows_of, trouble
from did_agent.client.errors import ServerRefused

STATES: Final = ("pending", "active", "suspended", "retired")
CHANGES: Final = {"suspend": "suspended", "resume": "resumed", "retire": "retired"}
PAGE: Final = 50
_ENTERED: Final = ("name", "sponsor", "owner", "description", "tags", "model")
_FILTERS: Final = ("text", "state", "sponsor", "owner", "tag", "group")


async def index(visit: Visit) -> Answer:
    """Show agents, searched and page by page."""
    asked = {name: visit.query.get(name) for name in _FILTERS}
    found = await visit.part("issuer", "/agents", limit=PAGE, after=visit.query.get("after"), **asked)
    return Page(
        template="agents.html",
        values={
            "found": found,
            "agents": rows_of(found, "agents"),
            "asked": asked,
            "states": STATES,
            "may_add": visit.may("issuer", "issuer:admin", "issuer:manage", "issuer:sponsor"),
        },
    )


async def show(visit: Visit) -> Answer:
    """Show one agent: who it is, what it holds, what it can do, what it did."""
    return await _agent(visit)


async def _agent(visit: Visit, refused: Trouble | None = None) -> Answer:
    agent = await visit.get("issuer", f"/agents/{segment(visit.path['identifier'])}")
    at, did = f"/agents/{segment(agent['agent_id'])}", agent.get("did")
    keys, credentials, history, resources, events, given, taken = await visit.parts(
        visit.part("issuer", f"{at}/keys"),
        visit.part("issuer", "/credentials", agent=agent["agent_id"], limit=100),
        visit.part("issuer", f"{at}/history"),
        visit.part("bridge", "/resources"),
        visit.part("ledger", "/events", actor=did or agent["agent_id"], newest="true", limit=10),
        visit.part("issuer", "/delegations", agent=agent["agent_id"]),
        visit.part("issuer", "/delegations", to=did or "none"),
    )
    held = rows_of(credentials, "credentials")
    # Asked only where there is something to suspend: a page that is looked at must not fill the log with refusals.
    impact = await visit.part("issuer", f"{at}/impact") if agent["state"] == "active" else None
    return Page(
        template="agent.html",
        values={
            "agent": agent,
            "qr": qr(did) if did else "",
            "keys": keys,
            "credentials": credentials,
            "held": held,
            "history": history,
            "impact": impact,
            "abilities": abilities(held, rows_of(resources, "resources")),
            "events": events,
            "delegations": [*rows_of(given, "delegations"), *rows_of(taken, "delegations")],
            "snippet": snippet(agent, visit),
            "refused": refused,
            "may": visit.may("issuer", "issuer:admin", "issuer:manage", "issuer:sponsor"),
        },
        status=200 if refused is None else 409,
    )


def snippet(agent: dict[str, Any], visit: Visit) -> str:
    """Return a program that acts as this very agent."""
    name = "".join(one for one in str(agent["name"]) if one.isalnum() or one in "-_. ")
    return (
        "import asyncio\n\nfrom did_agent.agent import Agent\n\n"
        f'BRIDGE = "{visit.urls["bridge"]}"\n\n'
        "async def main() -> None:\n"
        f'    agent = Agent.load("{name}")  # {agent.get("did") or "no key yet"}\n'
        '    token = await agent.token(BRIDGE, "https://tools.example/mcp")\n'
        "    print(token)\n\n"
        "asyncio.run(main())\n"
    )


async def change(visit: Visit) -> Answer:
    """Suspend, resume or retire an agent."""
    what = visit.path["change"]
    at = f"/agents/{segment(visit.path['identifier'])}"
    if what not in CHANGES:
        return Away(to=at)
    try:
        await visit.change("issuer", "POST", f"{at}/{what}", {"reason": visit.form.get("reason") or ""})
    except ServerRefused as error:
        return await _agent(visit, trouble(error))
    return Away(to=at, said=CHANGES[what])


async def new(_visit: Visit) -> Answer:
    """Show the form of a new agent."""
    return Page(template="new_agent.html", values={"entered": dict.fromkeys(_ENTERED, ""), "refused": None})


async def create(visit: Visit) -> Answer:
    """Register an agent, and show its invitation once."""
    entered = {
        name: visit.form.get(name) or "" for name in ("name", "sponsor", "owner", "description", "tags", "model")
    }
    body: dict[str, object] = {"name": entered["name"], "sponsor": entered["sponsor"]}
    if entered["owner"]:
        body["owner"] = entered["owner"]
    if entered["description"]:
        body["description"] = entered["description"]
    if entered["model"]:
        body["metadata"] = {"model": entered["model"]}
    if tags := [tag for tag in entered["tags"].replace(",", " ").split() if tag]:
        body["tags"] = tags
    try:
        made = await visit.change("issuer", "POST", "/agents", body)
    except ServerRefused as error:
        values = {"entered": entered, "refused": trouble(error)}
        return Page(template="new_agent.html", values=values, status=400)
    return Page(template="invited.html", values={"agent": made, "issuer_url": visit.urls["issuer"]}, status=201)


ROUTES: Final = (
    Route(path="/agents", handler=index),
    Route(path="/agents/new", handler=new),
    Route(path="/agents/new", handler=create, method="POST"),
    Route(path="/agents/{identifier}", handler=show),
    Route(path="/agents/{identifier}/{change}", handler=change, method="POST"),
)
