"""Delegations as a graph: user, agent, sub-agent, tool; and as a table, which says the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from console.drawing.graph import Edge, Node, graph
from console.pages.abilities import capabilities_of
from console.web.rendering import segment
from console.web.visit import Answer, Away, Page, Route, Trouble, Visit, rows_of, trouble
from did_agent.client.errors import ServerRefused

DRAWN: Final = 40  # delegations in one picture; the table goes on
_TOOLS: Final = 12


async def index(visit: Visit) -> Answer:
    """Show who handed what on to whom."""
    return await _delegations(visit)


async def _delegations(visit: Visit, refused: Trouble | None = None) -> Answer:
    asked = {name: visit.query.get(name) for name in ("agent", "to", "parent")}
    found, credentials, agents, events = await visit.parts(
        visit.part("issuer", "/delegations", after=visit.query.get("after"), **asked),
        visit.part("issuer", "/credentials", limit=100),
        visit.part("issuer", "/agents", limit=100),
        visit.part("ledger", "/events", action="tool.call", newest="true", limit=100),
    )
    rows = rows_of(found, "delegations")
    names = {str(one.get("did")): str(one.get("name")) for one in rows_of(agents, "agents")}
    nodes, edges = network(rows, rows_of(credentials, "credentials"), names, rows_of(events, "events"))
    return Page(
        template="delegations.html",
        values={
            "found": found,
            "delegations": rows,
            "names": names,
            "asked": asked,
            "picture": graph(
                nodes, edges, title="Who acts through whom, from people on the left to tools on the right"
            ),
            "is_empty": not nodes,
            "refused": refused,
            "may": visit.may("issuer", "issuer:admin", "issuer:manage", "issuer:sponsor"),
        },
    )


def network(
    delegations: Iterable[Mapping[str, Any]],
    credentials: Iterable[Mapping[str, Any]],
    names: Mapping[str, str],
    events: Iterable[Mapping[str, Any]],
) -> tuple[list[Node], list[Edge]]:
    """Return boxes and arrows: people from recent calls, agents by depth of delegation, tools of their credentials."""
    shown = [one for one in delegations if not one.get("revoked")][:DRAWN]
    by_id = {str(one.get("id")): one for one in credentials}
    depth: dict[str, int] = {}
    tools: dict[str, set[str]] = {}
    edges: dict[tuple[str, str], Edge] = {}
    for one in shown:
        giver, taker = str(one.get("delegator")), str(one.get("subject"))
        level = int(one.get("depth") or 1)
        depth[giver] = max(depth.get(giver, 1), level)
        depth[taker] = max(depth.get(taker, 1), level + 1)
        edges[giver, taker] = Edge(
            start=giver, end=taker, title=f"{_name(giver, names)} lets {_name(taker, names)} act"
        )
        parent = by_id.get(str(one.get("parent")))
        if parent is not None:
            tools.setdefault(taker, set()).update(tool for _, tool, _ in capabilities_of(parent))
    for one in credentials:
        holder = str(one.get("agent"))
        if one.get("state") == "active" and holder not in tools and len(depth) < DRAWN:
            depth.setdefault(holder, 1)
            if holder not in {start for start, _ in edges}:
                tools.setdefault(holder, set()).update(tool for _, tool, _ in capabilities_of(one))
    people = _people(events, depth, edges)
    last = 1 + max(depth.values(), default=0)
    nodes = [Node(key=f"person {name}", name=name, kind="person", column=0) for name in people]
    nodes += [
        Node(key=did, name=_name(did, names), kind="agent", column=level, href=f"/agents/{segment(did)}")
        for did, level in sorted(depth.items(), key=lambda pair: (pair[1], pair[0]))
    ]
    used = sorted({tool for found in tools.values() for tool in found})[:_TOOLS]
    nodes += [Node(key=f"tool {tool}", name=tool, kind="tool", column=last) for tool in used]
    for did, found in tools.items():
        for tool in sorted(found & set(used)):
            title = f"{_name(did, names)} may call {tool} at most"
            edges[did, f"tool {tool}"] = Edge(start=did, end=f"tool {tool}", title=title)
    return nodes, list(edges.values())


def _people(
    events: Iterable[Mapping[str, Any]], depth: Mapping[str, int], edges: dict[tuple[str, str], Edge]
) -> list[str]:
    people: dict[str, None] = {}
    for row in events:
        event = row.get("event") or {}
        actors, person = event.get("actors") or [], event.get("principal")
        if event.get("principal_kind") != "user" or not actors or not person:
            continue
        first = str(actors[-1])  # the agent acting now stands first, the one the person let act stands last
        if first in depth:
            people.setdefault(str(person))
            edges[f"person {person}", first] = Edge(start=f"person {person}", end=first, title=f"{person} let it act")
    return list(people)[:DRAWN]


async def revoke(visit: Visit) -> Answer:
    """Take a delegation back, with everything made from it."""
    at = f"/delegations/{segment(visit.path['identifier'])}/revoke"
    try:
        await visit.change("issuer", "POST", at, {"reason": visit.form.get("reason") or ""})
    except ServerRefused as error:
        return await _delegations(visit, trouble(error))
    return Away(to="/delegations", said="revoked")


def _name(did: str, names: Mapping[str, str]) -> str:
    return names.get(did, did)


ROUTES: Final = (
    Route(path="/delegations", handler=index),
    Route(path="/delegations/{identifier}/revoke", handler=revoke, method="POST"),
)
