"""Rows as log records of OpenTelemetry: OTLP 1.x in its JSON encoding, one `LogsData` a line.

A record carries the trace and span under which its party decided, so that a backend shows it there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from did_agent.encoding.timestamp import parse_timestamp

SCOPE: Final = "did_agent.audit"
_INFO, _WARN = (9, "INFO"), (13, "WARN")  # SeverityNumber
_TRACE: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_SPAN: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)
_NAMED: Final = {"principal": "user.id", "resource": "url.full"}  # what the semantic conventions have a word for
_HANDLED: Final = frozenset({"time", "explanation", "party", "source", "details"})


def lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return one `LogsData` for the rows, grouped by the party that decided; nothing for no rows."""
    by_party: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        event = row["event"]
        by_party.setdefault((event["party"], event["source"]), []).append(log_record(row))
    resources = [
        {
            "resource": {"attributes": [_text("service.name", party), _text("service.instance.id", source)]},
            "scopeLogs": [{"scope": {"name": SCOPE}, "logRecords": records}],
        }
        for (party, source), records in by_party.items()
    ]
    return json.dumps({"resourceLogs": resources}, ensure_ascii=False) + "\n" if resources else ""


def log_record(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as one `LogRecord`; times are nanoseconds since the epoch, as a string."""
    event, details = row["event"], row["event"]["details"]
    number, word = _INFO if event["decision"] == "allow" else _WARN
    time = parse_timestamp(event["time"])
    said = f"{int(time.timestamp()) * 1_000_000 + time.microsecond}000"
    record: dict[str, Any] = {
        "timeUnixNano": said,
        "observedTimeUnixNano": said,
        "severityNumber": number,
        "severityText": word,
        "eventName": f"did_agent.{event['action']}",
        "body": {"stringValue": event["explanation"]},
        "attributes": [
            {"key": "did_agent.seq", "value": {"intValue": str(row["seq"])}},
            _text("did_agent.leaf", row["leaf"]),
            *_attributes(event),
            *(_text(f"did_agent.details.{name}", value) for name, value in details.items()),
        ],
    }
    for name, member, form in (("trace_id", "traceId", _TRACE), ("span_id", "spanId", _SPAN)):
        if form.fullmatch(details.get(name, "")):
            record[member] = details[name]
    return record


def _attributes(event: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for name, value in event.items():
        key = _NAMED.get(name, f"did_agent.{name}")
        if name in _HANDLED or value is None or value == []:
            continue
        if isinstance(value, list):
            yield {"key": key, "value": {"arrayValue": {"values": [{"stringValue": one} for one in value]}}}
        else:
            yield _text(key, value)


def _text(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}
