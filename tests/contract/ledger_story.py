"""The part of the honest day that is about the log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from did_agent.adapters.keystore import load_or_create_key
from did_agent.audit.cosignature import cosign
from did_agent.audit.delivery import batch_request
from did_agent.audit.event import AuditEvent
from did_agent.clock import format_milliseconds
from did_agent.credential.issuance import new_id
from did_agent.did.key import did_key
from tests.fakes.bridge_world import START
from tests.fakes.deployment import WITNESS, WITNESS_KEY


def ledger(story: Any) -> None:
    """Deliver one event, read it in every way, and let a witness sign."""
    ledger, url = story.ledger, story.deployment.urls["ledger"]
    party = load_or_create_key(story.deployment.data / "keys" / "bridge.jwk")
    event = AuditEvent(
        id=new_id(), time=START, source=did_key(party.public), party="bridge", principal="smith",
        principal_kind="user", actors=(), client_id=None, action="a.test", target=None, resource=None,
        argument_digest=None, decision="allow", reason="allowed", explanation="a test", policy=None,
        credential_ids=(), token_id=None, evidence=None, request_id="test-request", details={},
    )  # fmt: skip
    _, headers, body = batch_request([event.canonical().decode()], ledger_url=url, key=party, now=START)
    ledger.send("POST", "/events", 200, content=body, headers=headers)
    reader = story.deployment.token("ledger")
    note = ledger.send("GET", "/checkpoint", 200, bearer=reader)
    ledger.send("GET", "/checkpoint", 304, bearer=reader, headers={"If-None-Match": note.headers["etag"]})
    reads = ("/events?limit=2", "/checkpoints", "/proofs/inclusion?seq=1", "/proofs/consistency?from=1&to=1", "/export")
    hours = f"/usage?since={format_milliseconds(START)}&until={format_milliseconds(START + timedelta(hours=1))}"
    for path in (*reads, hours, "/key", "/livez", "/readyz"):
        ledger.send("GET", path, 200, bearer=reader)
    ledger.begin("/events/stream", bearer=reader)
    size = int(note.text.split("\n")[1])
    line = cosign(note.text, name=WITNESS.name, key=WITNESS_KEY, now=START)
    ledger.send("POST", f"/checkpoints/{size}/cosignatures", 200, json={"cosignature": line})
    for path in (f"/checkpoints/{size}/cosignatures", "/cosignatures"):
        assert ledger.send("GET", path, 200, bearer=reader).json()["cosignatures"] == [line]
    ledger.send("POST", "/checkpoints/1/cosignatures", 401, json={"cosignature": "x"})
    ledger.send("GET", "/events", 401)
    ledger.send("GET", "/proofs/inclusion", 400, bearer=reader)
    erased = ledger.send("POST", "/erasures", 200, bearer=reader, json={"person": "smith"}).json()
    assert erased["keys"] > 0
    ledger.send("POST", "/erasures", 400, bearer=reader, json={})
