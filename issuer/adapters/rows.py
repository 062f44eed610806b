"""One transaction's connection: what every topic's part of the store stands on."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ColumnElement, and_, or_
from sqlalchemy.ext.asyncio import AsyncConnection

from did_agent.clock import numeric_date


class Rows:
    """One transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._do = connection
        self.flipped: set[int] = set()  # status lists this transaction changes


def behind(created: Column[int], identifier: Column[str], last: tuple[datetime, str]) -> ColumnElement[bool]:
    """Return what picks the rows behind the last of a page, in a list of the newest first."""
    at = numeric_date(last[0])
    return and_(created <= at, or_(created < at, identifier > last[1]))
