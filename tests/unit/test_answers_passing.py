"""Answers on their way out: cut into events, given a receipt, watched for failure, and otherwise byte for byte."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from did_agent.errors import BadEncoding, StoreUnavailable
from did_agent.tokens.tool_receipt import MEMBER, OMITTED
from verifier.mcp.events import MAX_EVENT, Events, data_of, with_data
from verifier.mcp.outcome import Outcome, outcome_of
from verifier.mcp.receipts import MAX_RECEIPTED, Receipting
from verifier.mcp.splicing import locate, with_meta

STREAM = (
    b': hello\n\nevent: message\ndata: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n'
    b'id: 9\r\nevent: message\r\ndata: {"jsonrpc":"2.0","id":7,"result":{"ok":true}}\r\n\r\n: bye\n\n'
)


class Sent:
    """What reached the client."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def __call__(self, message: Any) -> None:
        self.messages.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])


def receipting(sent: Sent, *, identifier: object = 7) -> Receipting:
    def write(result: Mapping[str, Any]) -> str:
        if result.get("odd"):
            raise BadEncoding("odd")
        return "signed"

    return Receipting(sent, identifier=identifier, write=write)


async def answer(send: Any, kind: str, pieces: Sequence[bytes], *, status: int = 200, **headers: str) -> None:
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind.encode()), *given]})
    for number, piece in enumerate(pieces, 1):
        await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})


def pieces(raw: bytes, size: int) -> list[bytes]:
    return [raw[at : at + size] for at in range(0, len(raw), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_stream_is_cut_into_events_wherever_its_pieces_end(size: int) -> None:
    events = Events()
    found = [event for piece in pieces(STREAM, size) for event in events.feed(piece)]
    assert b"".join(event for event, _ in found) + events.rest() == STREAM
    assert all(whole for _, whole in found)
    assert [data for event, _ in found if (data := data_of(event))] == [
        b'{"jsonrpc":"2.0","method":"notifications/progress"}',
        b'{"jsonrpc":"2.0","id":7,"result":{"ok":true}}',
    ]


def test_an_event_too_long_to_be_looked_into_comes_out_in_pieces() -> None:
    events, sent = Events(), []
    long = b"data: " + b"x" * (2 * MAX_EVENT) + b"\n\n"
    for piece in pieces(long + b"data: short\n\n", 65_536):
        sent += events.feed(piece)
    assert b"".join(event for event, _ in sent) == long + b"data: short\n\n"
    assert [event for event, whole in sent if whole] == [b"data: short\n\n"]
    assert max(len(event) for event, _ in sent) <= MAX_EVENT + 65_536


def test_the_data_of_an_event_may_have_several_lines() -> None:
    event = b'id: 1\ndata: {"a":\ndata:1}\nretry: 5\n\n'
    assert data_of(event) == b'{"a":\n1}'
    assert with_data(event, b'{"b":2}') == b'id: 1\ndata: {"b":2}\nretry: 5\n\n'


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("{}", '{"_meta":{"n":"v"}}'),
        ('{ "a" : 1.0 }', '{"_meta":{"n":"v"}, "a" : 1.0 }'),
        ('{"a":1e400}', '{"_meta":{"n":"v"},"a":1e400}'),
        ('{"_meta":{}}', '{"_meta":{"n":"v"}}'),
        ('{"a":"\\u0041","_meta": { "k":1}}', '{"a":"\\u0041","_meta": {"n":"v", "k":1}}'),
        ('{"_meta":{"n":"theirs","k":1},"a":2}', '{"_meta":{"k": 1, "n": "v"},"a":2}'),
    ],
)
def test_a_member_is_put_in_and_every_other_byte_stays(result: str, expected: str) -> None:
    raw = f' {{"jsonrpc":"2.0", "result": {result} ,"id":7}}\n'.encode()
    found = locate(raw, 7)
    assert found is not None
    spliced = with_meta(found, "n", "v", without=("n",)).decode()
    assert json.loads(spliced)["result"]["_meta"]["n"] == "v"
    assert spliced.replace(" ", "") == f'{{"jsonrpc":"2.0","result":{expected},"id":7}}\n'.replace(" ", "")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{",
        b'{"id":7}',
        b'{"id":8,"result":{}}',
        b'{"id":7,"result":[]}',
        b'{"id":7,"result":{},"result":{}}',
        b'{"id":7,"result":{"a":1,"a":2}}',
        b'{"id":7,"result":{"b":{"a":1,"a":2}}}',
        b'{"id":7,"result":{"_meta":1}}',
        b'{"id":7,"result":{"a":NaN}}',
        b'{"id":7,"result":{}',
        b'{"id":7 "result":{}}',
        b'{7:1,"id":7,"result":{}}',
        b'{"id":7,"result":{"a":"\xff"}}',
        b'{"id":7,"result":' + b'{"a":' * 100_000,
        b'{"id":7,"error":{}}',
    ],
)
def test_what_is_no_clear_answer_is_left_alone(raw: bytes) -> None:
    assert locate(raw, 7) is None


@pytest.mark.parametrize("size", [1, 5, 40, 1000])
async def test_the_answer_in_a_stream_gets_its_receipt_and_all_else_passes_untouched(size: int) -> None:
    sent = Sent()
    await answer(receipting(sent), "text/event-stream; charset=utf-8", pieces(STREAM, size), content_length="1")
    expected = STREAM.replace(b'"result":{', b'"result":{"_meta":{"org.did-agent/receipt":"signed"},')
    assert sent.body == expected
    assert b"content-length" not in sent.headers
    assert not sent.messages[-1]["more_body"]


async def test_earlier_events_do_not_wait_for_the_answer() -> None:
    sent = Sent()
    send = receipting(sent)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": STREAM[:100], "more_body": True})
    assert sent.body.startswith(b": hello\n\nevent: message\n")
    await send({"type": "http.response.body", "body": STREAM[100:], "more_body": True})
    await send({"type": "http.response.body", "body": b": open", "more_body": True})
    assert sent.body.endswith(b": bye\n\n: open")


async def test_a_whole_answer_gets_its_receipt_and_its_length() -> None:
    sent = Sent()
    raw = b'{"jsonrpc":"2.0","id":7,"result":{"ok":true}}'
    await answer(receipting(sent), "application/json", pieces(raw, 9), content_length=str(len(raw)))
    assert json.loads(sent.body)["result"] == {"ok": True, "_meta": {MEMBER: "signed"}}
    assert sent.headers[b"content-length"] == str(len(sent.body)).encode()


async def test_a_result_without_canonical_form_has_no_receipt_and_says_why() -> None:
    sent = Sent()
    await answer(receipting(sent), "application/json", [b'{"id":7,"result":{"odd":true}}'])
    assert json.loads(sent.body)["result"]["_meta"] == {OMITTED: "bad_encoding"}


@pytest.mark.parametrize(
    ("kind", "raw", "headers"),
    [
        ("application/json", b'{"id":7,"error":{"code":1}}', {}),
        ("application/json", b'{"id":7,"result":{}}', {"content_encoding": "gzip"}),
        ("text/event-stream", b'data: {"id":7,"result":{}}\n\n', {"content_encoding": "br"}),
        ("text/plain", b'{"id":7,"result":{}}', {}),
        ("text/event-stream", b'data: {"id":8,"result":{}}\n\ndata: "result"\n\n', {}),
        ("text/event-stream", b'data: {"id":7,"result":{}}\n', {}),
    ],
)
async def test_what_cannot_be_receipted_passes_as_it_is(kind: str, raw: bytes, headers: dict[str, str]) -> None:
    sent = Sent()
    await answer(receipting(sent), kind, [raw], **headers)
    assert sent.body == raw


async def test_an_answer_too_large_for_a_receipt_passes_and_says_so() -> None:
    sent = Sent()
    raw = b'{"id":7,"result":{"a":"' + b"x" * MAX_RECEIPTED + b'"}}'
    await answer(receipting(sent), "application/json", pieces(raw, 65_536), content_length=str(len(raw)))
    assert sent.body == raw
    assert sent.headers[b"did-agent-receipt"] == b"omitted; reason=too_large"
    assert sent.headers[b"content-length"] == str(len(raw)).encode()
    stream = Sent()
    event = b"data: " + raw + b"\n\n"
    await answer(receipting(stream), "text/event-stream", pieces(event + b": end\n\n", 65_536))
    assert stream.body == event + b": receipt omitted; reason=too_large\n\n: end\n\n"


class Told:
    """What was reported."""

    def __init__(self) -> None:
        self.outcomes: list[bool | None] = []

    async def __call__(self, is_error: bool | None) -> None:
        self.outcomes.append(is_error)


@pytest.mark.parametrize(
    ("kind", "raw", "status", "expected"),
    [
        ("application/json", b'{"id":7,"result":{"content":[]}}', 200, False),
        ("application/json", b'{"id":7,"result":{"isError":false}}', 200, False),
        ("application/json", b'{"id":7,"result":{"isError":true}}', 200, True),
        ("application/json", b'{"id":7,"error":{"code":-32602}}', 200, True),
        ("application/json", b'{"id":7,"error":{"code":-32602}}', 400, True),
        ("application/json", b"", 500, True),
        ("application/json", b'{"id":8,"result":{}}', 200, None),
        ("application/json", b"not JSON, a result", 200, None),
        ("text/event-stream", STREAM, 200, False),
        ("text/event-stream", STREAM.replace(b'"ok"', b'"isError"'), 200, True),
        ("text/event-stream", b'data: {"id":7,"method":"ping","error":1}\n\n', 200, None),
        ("text/event-stream", b": nothing\n\n", 200, None),
    ],
)
@pytest.mark.parametrize("size", [3, 1000])
async def test_the_outcome_is_told_once_and_every_byte_passes(
    kind: str, raw: bytes, status: int, expected: bool | None, size: int
) -> None:
    sent, told = Sent(), Told()
    outcome = Outcome(sent, identifier=7, report=told)
    await answer(outcome, kind, pieces(raw, size) or [b""], status=status)
    await outcome.finish()
    assert told.outcomes == [expected]
    assert sent.body == raw


async def test_a_server_that_breaks_off_has_no_outcome() -> None:
    told = Told()
    outcome = Outcome(Sent(), identifier=7, report=told)
    await outcome.finish()
    await outcome.finish()
    assert told.outcomes == [None]


async def test_the_outcome_is_told_before_the_answer_ends_and_a_report_that_fails_breaks_nothing() -> None:
    order: list[str] = []

    async def send(message: Any) -> None:
        order.append(message["type"])

    async def report(_is_error: bool | None) -> None:
        order.append("told")
        raise StoreUnavailable("away")

    await answer(Outcome(send, identifier=7, report=report), "application/json", [b'{"id":7,"result":{}}'])
    assert order == ["http.response.start", "told", "http.response.body"]


def test_a_request_of_the_server_is_no_answer() -> None:
    assert outcome_of(b'{"id":7,"method":"sampling/createMessage","params":{"result":1}}', 7) is None
    assert outcome_of(b'{"id":7,"result":"text"}', 7) is None
