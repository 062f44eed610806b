"""Explains what was recorded, and judges what is shown now as a door would: tokens and presentations (AUD-02)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from did_agent.audit.why import ADMISSION, FORM, RIGHTS, Explanation, explain_event, failed, in_order
from did_agent.client.sources import Question, Sources
from did_agent.client.verdicts import judge_presentation, judge_token
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import DidAgentError, WrongType
from did_agent.proof.jwt import unverified_jws

_DOTS: Final = 2  # of a compact JWS


async def explain(what: str, question: Question, sources: Sources) -> Sequence[Explanation]:
    """Return why: of an event id or request id from the record, of a token or presentation by judging it now.

    Raises: NotFound when nothing was recorded under an id, WrongType for tokens of other kinds, ServerRefused,
    PeerUnavailable.
    """
    text = what.strip()
    if text.startswith("{"):
        return [await judge_presentation(text, parse_object(text), question, sources)]
    if text.count(".") != _DOTS:
        return [explain_event(row["event"]) for row in await sources.rows(text)]
    try:
        jws, claims = unverified_jws(text)
    except DidAgentError as error:
        order = (*ADMISSION["jwt"], *RIGHTS)
        steps = in_order(order, [failed(error, name=FORM)])
        return [Explanation(kind="token", title="something that cannot be read", allowed=False, steps=steps)]
    if jws.type == "vp+jwt":
        return [await judge_presentation(text, claims, question, sources)]
    if jws.type != "at+jwt":
        raise WrongType("neither an access token nor a presentation; `did-agent verify` looks into other documents")
    return [await judge_token(text, claims, question, sources)]
