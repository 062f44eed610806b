"""Whatever agents go through, in any order: the issuer is where the model of it is, on both databases."""

from __future__ import annotations

import os
import tempfile
import uuid
from pathlib import Path
from typing import ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.fakes.issuer_lives import Issuer, Lives, One

POSTGRES = os.environ.get("DID_AGENT_TEST_POSTGRES")
EXAMPLES, STEPS = (300, 60) if "DID_AGENT_NIGHTLY" in os.environ else (6, 30)
SPONSORS = st.integers(0, 1)


class Machine(RuleBasedStateMachine):
    """Steps in any order; after each the agent it was about is compared, at the end all of them."""

    issuer: ClassVar[Issuer]

    def __init__(self) -> None:
        super().__init__()
        self.lives = Lives(self.issuer)
        self.touched: One | None = None

    @initialize()
    def begin(self) -> None:
        self.lives.create(0)
        self.lives.enrol(self._of(self.lives.agents[0]))
        self.lives.grant(self.lives.agents[0])

    @precondition(lambda self: len(self.lives.agents) < 5)
    @rule(sponsor=SPONSORS)
    def create(self, sponsor: int) -> None:
        self.lives.create(sponsor)
        self._of(self.lives.agents[-1])

    @precondition(lambda self: any(one.state != "active" for one in self.lives.agents))
    @rule(data=st.data())
    def enrol(self, data: st.DataObject) -> None:
        self.lives.enrol(
            self._of(data.draw(st.sampled_from([one for one in self.lives.agents if one.state != "active"])))
        )

    @precondition(lambda self: any(one.has_room for one in self.lives.agents))
    @rule(data=st.data())
    def grant(self, data: st.DataObject) -> None:
        self.lives.grant(self._of(data.draw(st.sampled_from([one for one in self.lives.agents if one.has_room]))))

    @precondition(lambda self: self.lives.agents)
    @rule(data=st.data(), change=st.sampled_from(["suspend", "resume", "suspend", "resume", "retire"]))
    def change(self, data: st.DataObject, change: str) -> None:
        self.lives.change(self._any(data), change)  # type: ignore[arg-type]  # one of three

    @precondition(lambda self: any(one.held for one in self.lives.agents))
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        one = self._of(data.draw(st.sampled_from([one for one in self.lives.agents if one.held])))
        self.lives.revoke(one, data.draw(st.sampled_from(list(one.held.values()))))

    @precondition(lambda self: any(one.held for one in self.lives.agents))
    @rule(data=st.data())
    def spend(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from([one for one in self.lives.agents if one.held]))
        self.lives.spend(data.draw(st.sampled_from(list(one.held.values()))))

    @precondition(lambda self: any(one.key and one.has_room for one in self.lives.agents))
    @rule(data=st.data())
    def rotate(self, data: st.DataObject) -> None:
        found = [one for one in self.lives.agents if one.key and one.has_room]
        self.lives.rotate(self._of(data.draw(st.sampled_from(found))))

    @precondition(lambda self: any(one.held and one.has_room for one in self.lives.agents))
    @rule(data=st.data())
    def recover(self, data: st.DataObject) -> None:
        found = [one for one in self.lives.agents if one.held and one.has_room]
        self.lives.recover(self._of(data.draw(st.sampled_from(found))))

    @precondition(lambda self: self.lives.agents)
    @rule(data=st.data(), sponsor=SPONSORS)
    def hand_over(self, data: st.DataObject, sponsor: int) -> None:
        self.lives.hand_over(self._any(data), sponsor)

    @precondition(lambda self: len(self.lives.agents) > 1)
    @rule(sponsor=SPONSORS)
    def kill(self, sponsor: int) -> None:
        self.lives.kill(sponsor)

    @precondition(lambda self: self.lives.switches)
    @rule(data=st.data())
    def lift(self, data: st.DataObject) -> None:
        self.lives.lift(data.draw(st.sampled_from(sorted(self.lives.switches))))

    @invariant()
    def it_is_as_in_the_model(self) -> None:
        if self.touched is not None:
            self.lives.compare_one(self.touched)
            self.issuer.events()

    def teardown(self) -> None:
        self.lives.compare()
        for switch in sorted(self.lives.switches):
            self.lives.lift(switch)

    def _any(self, data: st.DataObject) -> One:
        return self._of(data.draw(st.sampled_from(self.lives.agents)))

    def _of(self, one: One) -> One:
        self.touched = one
        return one


def case(database: str) -> None:
    class Case(Machine.TestCase):  # type: ignore[name-defined,misc]  # made by Hypothesis
        settings = settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        )

    Machine.issuer = Issuer(database)
    try:
        Case("runTest").runTest()
    finally:
        Machine.issuer.close()


@pytest.mark.req("REV-03", "REV-04", "DEL-15", "AUD-01", "WEB-01")
def test_on_sqlite() -> None:
    with tempfile.TemporaryDirectory() as folder:
        case(f"sqlite:///{Path(folder) / 'issuer.db'}")


@pytest.mark.req("REV-03", "REV-04", "DEL-15", "AUD-01", "WEB-01")
@pytest.mark.skipif(POSTGRES is None, reason="no PostgreSQL: run the tests through tests/with_postgres.py")
def test_on_postgresql() -> None:
    assert POSTGRES is not None
    name = f"lives_{uuid.uuid4().hex}"
    server = POSTGRES.replace("+psycopg", "")
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    try:
        case(POSTGRES.rsplit("/", 1)[0] + f"/{name}")
    finally:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
