"""Rows in the words of other systems: spreadsheets, OCSF and OpenTelemetry."""

from __future__ import annotations

import base64
import csv
import io
import json
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData

from did_agent.audit.exports import ocsf, otlp, spreadsheet
from tests.contract.test_ledger_log import event

TRACE = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}


def row(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {"seq": number, "leaf": "bGVhZg", "event": event(number, **changes).to_json()}


_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


@given(
    principal=st.none() | _TEXT,
    target=st.none() | _TEXT,
    explanation=_TEXT,
    actors=st.lists(_TEXT, max_size=3).map(tuple),
    decision=st.sampled_from(["allow", "deny"]),
    action=st.sampled_from(["tool.call", "credential.revoke", "x"]) | _TEXT,
    details=st.dictionaries(_TEXT, _TEXT, max_size=3),
)
def test_every_event_has_a_form_in_each_of_them(**changes: Any) -> None:
    one = row(7, **changes)
    [record] = list(csv.reader(io.StringIO(spreadsheet.lines([one]), newline="")))
    assert len(record) == len(spreadsheet.COLUMNS)
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in record)
    told = json.loads(ocsf.lines([one]))
    assert told["type_uid"] == told["class_uid"] * 100 + told["activity_id"]
    assert told["unmapped"]["actors"] == list(changes["actors"])
    data = Parse(otlp.lines([one]), LogsData())
    assert data.resource_logs[0].scope_logs[0].log_records[0].body.string_value == changes["explanation"]


def test_a_spreadsheet_says_what_the_event_says_and_runs_nothing() -> None:
    hostile = row(2, target="=HYPERLINK(1)", actors=("did:key:zA", "did:key:zB"), explanation='says "no", twice')
    table = spreadsheet.header() + spreadsheet.lines([row(1), hostile])
    first, second = list(csv.DictReader(io.StringIO(table)))
    assert (first["seq"], first["principal"], first["decision"]) == ("1", "smith", "deny")
    assert (second["target"], second["actors"]) == ("'=HYPERLINK(1)", "did:key:zA did:key:zB")
    assert second["explanation"] == 'says "no", twice'


def test_an_api_activity_names_user_application_and_chain() -> None:
    told = ocsf.api_activity(row(3, actors=("did:key:zSub", "did:key:zA"), request_id="r-1", credential_ids=("c",)))
    assert (told["class_uid"], told["category_uid"], told["metadata"]["version"]) == (6003, 6, "1.3.0")
    assert told["actor"] == {"user": {"uid": "smith", "type_id": 1, "type": "User"}, "app_uid": "did:key:zSub"}
    assert (told["status_id"], told["status_code"], told["severity_id"]) == (2, "agent_not_capable", 2)
    assert (told["activity_id"], told["activity_name"], told["type_uid"]) == (99, "tool.call", 600399)
    assert told["resources"] == [{"uid": "https://mcp.example/mcp", "name": "create_order"}]
    assert told["unmapped"]["actors"] == ["did:key:zSub", "did:key:zA"]
    assert told["time"] == 1_795_435_200_000
    # What the schema requires of the class is there for every event.
    for name in ("activity_id", "actor", "api", "category_uid", "metadata", "severity_id", "src_endpoint", "time"):
        assert told[name], name


@pytest.mark.parametrize(
    ("action", "activity"),
    [("agent.create", 1), ("audit.read", 2), ("user.groups", 3), ("credential.revoke", 4), ("tool.call", 99)],
)
def test_verbs_are_the_activities_of_the_schema(action: str, activity: int) -> None:
    assert ocsf.api_activity(row(1, action=action))["activity_id"] == activity


def test_log_records_carry_the_trace_and_stand_by_their_party() -> None:
    rows = [row(1, details=TRACE), row(2, party="bridge", decision="allow"), row(3)]
    data = Parse(otlp.lines(rows), LogsData())
    parties = {one.resource.attributes[0].value.string_value: one.scope_logs[0] for one in data.resource_logs}
    assert sorted(parties) == ["bridge", "verifier"]
    first, third = parties["verifier"].log_records
    # OTLP writes these two in hexadecimal, where the generic reader of JSON takes base64.
    written = [base64.b64encode(one).decode() for one in (first.trace_id, first.span_id)]
    assert written == [TRACE["trace_id"], TRACE["span_id"]]
    assert (third.trace_id, first.severity_text, first.time_unix_nano) == (b"", "WARN", 1_795_435_200_000_000_000)
    assert parties["bridge"].log_records[0].severity_text == "INFO"
    said = {one.key: one.value.string_value for one in first.attributes}
    assert (said["user.id"], said["did_agent.target"]) == ("smith", "create_order")
    assert otlp.lines([]) == ""
