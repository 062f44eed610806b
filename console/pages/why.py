"""Why?: an event, a request, a token or a presentation, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from console.web.visit import Answer, Page, Route, Trouble, Visit, trouble
from did_agent.audit.why import Explanation
from did_agent.client.sources import Parties, Question
from did_agent.client.why import explain
from did_agent.errors import DidAgentError

MAX: Final = 60_000  # characters of what is pasted
_TOO_LONG: Final = Trouble(
    title="That is too long for a token, a presentation or an id.",
    code="limit_exceeded",
    what_to_do="Paste one of them alone.",
)


def routes(anchors: frozenset[str]) -> tuple[Route, ...]:
    """Return the page; `anchors` are the DIDs of the issuers that are trusted here."""

    async def answer(visit: Visit, text: str) -> Answer:
        if len(text) > MAX:
            return _page(text="", refused=_TOO_LONG)
        try:
            found = await explain(text, Question(now=visit.now), _sources(visit, anchors))
        except DidAgentError as error:
            return _page(text=text if len(text) <= 100 else "", refused=trouble(error))
        # A token is shown to nobody again, not even to who pasted it.
        return _page(text=text if len(text) <= 100 else "", found=found)

    async def ask(visit: Visit) -> Answer:
        text = visit.query.get("of")
        return _page(text="") if text is None else await answer(visit, text)

    async def judge(visit: Visit) -> Answer:
        return await answer(visit, (visit.form.get("text") or "").strip())

    return (Route(path="/why", handler=ask), Route(path="/why", handler=judge, method="POST"))


def _page(*, text: str, found: Sequence[Explanation] | None = None, refused: Trouble | None = None) -> Page:
    status = 200 if refused is None else 404 if refused.code == "not_found" else 400
    return Page(template="why.html", values={"text": text, "found": found, "refused": refused}, status=status)


def _sources(visit: Visit, anchors: frozenset[str]) -> Parties:
    async def ledger(_method: str, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        return await visit.get("ledger", path, **(params or {}))

    return Parties(bridge=visit.urls["bridge"], issuer=visit.urls["issuer"], ledger=ledger, anchors=anchors)
