"""Requests for rights, enrolments and proposals that wait for somebody's word."""

from __future__ import annotations

from typing import Final

from console.web.rendering import segment
from console.web.visit import Answer, Away, Page, Route, Trouble, Visit, rows_of, trouble
from did_agent.client.errors import ServerRefused

# What is decided, by which word, and what is said then.
WORDS: Final = {
    ("requests", "approve"): "approved",
    ("requests", "deny"): "denied",
    ("enrolments", "approve"): "approved",
    ("enrolments", "reject"): "denied",
    ("proposals", "approve"): "approved",
    ("proposals", "reject"): "denied",
}
STATES: Final = ("pending", "approved", "denied", "withdrawn", "expired")


async def index(visit: Visit) -> Answer:
    """Show what waits, and what was decided."""
    return await _waiting(visit)


async def _waiting(visit: Visit, refused: Trouble | None = None) -> Answer:
    state = visit.query.get("state")
    requests, enrolments, proposals = await visit.parts(
        visit.part("issuer", "/requests", state=state, after=visit.query.get("after"), limit=50),
        visit.part("issuer", "/enrolments"),
        visit.part("issuer", "/proposals"),
    )
    return Page(
        template="requests.html",
        values={
            "found": requests,
            "requests": rows_of(requests, "requests"),
            "enrolments": rows_of(enrolments, "enrolments"),
            "proposals": rows_of(proposals, "proposals"),
            "asked": {"state": state},
            "states": STATES,
            "refused": refused,
            "may": visit.may("issuer", "issuer:admin", "issuer:manage"),
        },
    )


async def decide(visit: Visit) -> Answer:
    """Approve or deny."""
    kind, word = visit.path["kind"], visit.path["word"]
    if (kind, word) not in WORDS:
        return Away(to="/requests")
    reason = visit.form.get("reason")
    body = {"reason": reason} if reason else {}
    try:
        await visit.change("issuer", "POST", f"/{kind}/{segment(visit.path['identifier'])}/{word}", body)
    except ServerRefused as error:
        return await _waiting(visit, trouble(error))
    return Away(to="/requests", said=WORDS[kind, word])


ROUTES: Final = (
    Route(path="/requests", handler=index),
    Route(path="/requests/{kind}/{identifier}/{word}", handler=decide, method="POST"),
)
