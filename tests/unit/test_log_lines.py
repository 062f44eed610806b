"""Log lines: one record a line, allow-listed members, nothing outside can begin another, no secrets in failures."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from did_agent.adapters.log_lines import FIELDS, MAX_MESSAGE, JSONLines, TextLines, log_for, shown
from did_agent.adapters.tracing import Trace

KNOWN = {
    "time",
    "level",
    "logger",
    "message",
    "party",
    "request_id",
    "trace_id",
    "span_id",
    "error",
    "at",
    "words",
    *FIELDS,
}
TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJzbWl0aCJ9.c2lnbmF0dXJlLW9mLXNvbWVib2R5"


def record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("did_agent.test", logging.WARNING, __file__, 1, message, arguments, None)
    made.__dict__.update(extra)
    return made


@pytest.mark.req("OPS-01")
@pytest.mark.parametrize("formatter", [JSONLines(), TextLines()])
@pytest.mark.parametrize(
    "sent", ["a\nb", "a\r\nb", "\x1b[2Jgone", "a\u2028b", "a\u2029b", "a\x85b", "a\x00b", "\u202egnp", 'a"}\n{"b":"']
)
def test_nothing_that_was_sent_begins_a_line_or_moves_a_terminal(formatter: logging.Formatter, sent: str) -> None:
    for line in (formatter.format(record("got %s", sent)), formatter.format(record(sent, method=sent))):
        assert len(line.splitlines()) == 1
        assert line.isprintable()
        if isinstance(formatter, JSONLines):
            assert json.loads(line)["logger"] == "did_agent.test"


@pytest.mark.req("OPS-01", "OPS-02")
def test_a_line_has_the_members_that_are_listed_and_no_others() -> None:
    said = json.loads(
        JSONLines().format(record("m", route="/token", status=200, ms=1.5, token="x", cookie="y", body="z"))
    )
    assert said.keys() <= KNOWN
    assert (said["route"], said["status"], said["ms"]) == ("/token", 200, 1.5)
    assert not {"token", "cookie", "body"} & said.keys()


@pytest.mark.req("OPS-02")
@pytest.mark.parametrize(
    "secret",
    [
        TOKEN,
        f"Bearer {TOKEN}",
        "Authorization: Basic dXNlcjpwYXNzd29yZA==",
        "DPoP abcdefghijklmnop",
        "code=8f7e6d5c4b3a",
        "client_secret=hunter2hunter2",
        "password=correct horse",
        "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQ",
    ],
)
def test_what_looks_like_a_secret_is_cut_out(secret: str) -> None:
    assert not {TOKEN, "dXNlcj", "abcdefgh", "8f7e6d5c", "hunter2", "correct", "1QQQQ"} & {
        one for one in (TOKEN, "dXNlcj", "abcdefgh", "8f7e6d5c", "hunter2", "correct", "1QQQQ") if one in shown(secret)
    }
    assert "[cut]" in shown(f"could not read {secret} of somebody")
    assert shown("the ledger answered 503 for urn:uuid:1") == "the ledger answered 503 for urn:uuid:1"


@pytest.mark.req("OPS-02", "OPS-03")
@pytest.mark.parametrize("formatter", [JSONLines(), TextLines()])
def test_a_failure_is_shown_by_its_kind_and_its_places_without_its_words(
    formatter: logging.Formatter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DID_AGENT_DEBUG", raising=False)
    try:
        raise ValueError("hunter2 was not a number")
    except ValueError:
        made = record("request failed")
        made.exc_info = sys.exc_info()
    line = formatter.format(made)
    assert "hunter2" not in line
    assert "ValueError" in line
    monkeypatch.setenv("DID_AGENT_DEBUG", "1")
    assert "hunter2" in formatter.format(made)
    assert "test_log_lines.py" in line


def test_a_line_says_which_request_and_which_trace_it_belongs_to() -> None:
    log_for("bridge", "request-1", Trace(trace_id="a" * 32, span_id="b" * 16))
    said = json.loads(JSONLines().format(record("x")))
    assert (said["party"], said["request_id"], said["trace_id"]) == ("bridge", "request-1", "a" * 32)
    assert said["span_id"] == "b" * 16
    assert TextLines().format(record("x")).startswith("warning: x [party=bridge request_id=request-1 trace_id=aaaa")


@pytest.mark.req("OPS-02")
def test_of_what_libraries_say_the_arguments_are_left_out() -> None:
    made = record("bad input %s", "hunter2")
    made.name = "somebody.else"
    assert json.loads(JSONLines().format(made))["message"] == "bad input %s"


def test_a_long_message_and_one_whose_arguments_do_not_fit_stay_one_line() -> None:
    assert len(json.loads(JSONLines().format(record("x" * 100_000)))["message"]) == MAX_MESSAGE
    assert json.loads(JSONLines().format(record("%d and %d", "a")))["message"] == "%d and %d"
