"""Pages of lists: what is asked, where it goes on, and the cursor of the next (WEB-07)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from did_agent.adapters.web_input import Parameters
from did_agent.errors import InvalidParameter
from issuer.api.cursors import Cursors
from issuer.api.routes import asked
from issuer.model import Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page that is asked for."""

    query: Parameters
    limit: int
    after: str  # "" from the beginning
    organisation: str
    question: Mapping[str, str | None]
    cursors: Cursors

    def next(self, found: Sequence[object], position: str | int | None) -> str | None:
        """Return the cursor behind the last row found, None when there is no more."""
        if len(found) < self.limit or position is None:
            return None
        return self.cursors.make([str(position)], organisation=self.organisation, query=self.question)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Reads what is asked of one list."""

    cursors: Cursors
    name: str  # cursors of another list are refused
    filters: tuple[str, ...] = ()
    states: tuple[str, ...] = ()

    def page(self, request: Request, by: Operator, *, of: str = "") -> Page:
        """Return the page a request asks for, in a list of something special `of` something.

        Raises: InvalidParameter.
        """
        query, limit = asked(request, *self.filters, "after", states=self.states)
        question = {"list": self.name, "of": of, **{name: query.get(name) for name in self.filters}}
        cursor, after = query.get("after"), ""
        if cursor is not None:
            position = self.cursors.read(cursor, organisation=by.organisation, query=question)
            if len(position) != 1:
                raise InvalidParameter("after: no cursor of this list")
            after = str(position[0])
        return Page(
            query=query,
            limit=limit,
            after=after,
            organisation=by.organisation,
            question=question,
            cursors=self.cursors,
        )
