"""Joins services and routes on one office; the app adds what touches the world."""

from __future__ import annotations

from collections.abc import Sequence

from issuer.api import about, agents, credentials, enrolment, status
from issuer.api.routes import Route
from issuer.service.agents import Agents
from issuer.service.enrolment import Enrolments
from issuer.service.granting import Granting
from issuer.service.office import Office
from issuer.service.status import Statuses


def compose(office: Office) -> Sequence[Route]:
    """Return every route of the issuer; the more special path comes before the more general one."""
    return (
        *agents.routes(Agents(office=office)),
        *enrolment.routes(Enrolments(office=office)),
        *credentials.routes(Granting(office=office)),
        *status.routes(Statuses(office=office)),
        *about.routes(office),
    )
