"""Judges a token or a presentation with the code of the doors, and tells each step.

What only a door knows stays unknown: whether the key of a bound token was proven, whether a presentation was shown
before, and what the rules of the policy in force say of a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar

from did_agent.audit.why import (
    ADMISSION,
    AGENT,
    ARGUMENTS,
    AUDIENCE,
    CHAIN,
    FORM,
    ISSUER,
    LIMITS,
    RIGHTS,
    RULES,
    SCOPE,
    SENDER,
    SIGNATURE,
    STATUS,
    TIME,
    USER,
    Explanation,
    Step,
    failed,
    in_order,
)
from did_agent.client.sources import Keys, Question, Sources
from did_agent.credential.chain import DEFAULT_MAX_DEPTH, VerifiedChain
from did_agent.credential.known import KnownCredentials
from did_agent.credential.standing import require_standing
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.encoding.timestamp import from_numeric_date, parse_timestamp
from did_agent.errors import (
    DidAgentError,
    Expired,
    NotBound,
    NotEvidenced,
    NotFound,
    NotYetValid,
    Unavailable,
    WrongKey,
)
from did_agent.errors.remedies import remedy
from did_agent.keys.public import PublicKey
from did_agent.policy.admission import caller_from_presentation, caller_from_token
from did_agent.policy.caller import VerifiedCaller
from did_agent.policy.decide import Call, decide
from did_agent.policy.evidence import require_evidenced
from did_agent.presentation.model import Asked, Expected, VerifiedPresentation
from did_agent.presentation.verify import ask, judge
from did_agent.tokens.access_token import AccessToken, verify_access_token

_RIGHTS: Final = {"agent": AGENT, "user": USER, "scope": SCOPE}
_ELSEWHERE: Final = {"arguments_refused": ARGUMENTS, "limit_not_enforceable": LIMITS}
_T = TypeVar("_T")


async def judge_token(text: str, claims: Mapping[str, object], question: Question, sources: Sources) -> Explanation:
    audience = question.audience or str(claims.get("aud"))
    found: list[Step] = []
    token: AccessToken | None = None
    try:
        keys = await sources.keys()
        token = _at_its_time(
            lambda now: verify_access_token(
                text,
                find_key=lambda header, _claims: _key(keys, header.get("kid")),
                expected_issuer=sources.bridge,
                expected_audience=audience,
                proven=None,
                now=now,
            ),
            issued=_issued(claims),
            now=question.now,
            found=found,
        )
    except DidAgentError as error:
        found.append(_untold(error, SIGNATURE) if isinstance(error, Unavailable) else failed(error))
    facts: dict[str, str] = {}
    if token is not None:
        found += _read_of(token, keys, question, is_current=not found)
        chains = await _behind(token, question, sources, found)
        found += await _standing(token, keys, chains, question, sources)
        found += _rights(caller_from_token(token), audience, question)
        facts = await _facts(token, sources)
    order = (*ADMISSION["jwt"], *RIGHTS)
    steps = in_order(order, found, before="unknown" if token is None and not _failures(found) else "ok")
    return Explanation(kind="token", title=_title(token, claims), allowed=_verdict(found), steps=steps, facts=facts)


def _at_its_time(verify: Callable[[datetime], _T], *, issued: datetime | None, now: datetime, found: list[Step]) -> _T:
    """Return what verifies now, or would have when it was made: then its time is the step that failed."""
    try:
        return verify(now)
    except (Expired, NotYetValid) as error:
        if issued is None:
            raise
        verified = verify(issued)
        found.append(failed(error, name=TIME))
        return verified


def _issued(claims: Mapping[str, object]) -> datetime | None:
    """Return when something says it was made."""
    issued, proof = claims.get("iat"), claims.get("proof")
    try:
        if isinstance(proof, dict):
            return parse_timestamp(proof.get("created"))
        return from_numeric_date(issued) if type(issued) is int else None
    except DidAgentError:
        return None


def _key(keys: Keys, kid: object) -> PublicKey:
    found = keys.get(kid if isinstance(kid, str) else None)
    if found is None:
        raise WrongKey("the bridge has no such key, or has it no more")
    return found


def _read_of(token: AccessToken, keys: Keys, question: Question, *, is_current: bool) -> list[Step]:
    compared = "" if question.audience else "; whom it was shown to, you say with an audience"
    bearer = "a bearer token: whoever has it may show it"
    steps = [
        Step(name=FORM, outcome="ok", what="an access token"),
        Step(name=ISSUER, outcome="ok", what=token.issuer),
        Step(name=AUDIENCE, outcome="ok", what=token.audience + compared),
        Step(name=SIGNATURE, outcome="ok", what=f"by a key of the bridge, which has {len(keys)}"),
        Step(name=SENDER, outcome="ok", what=bearer),
    ]
    if is_current:
        steps.append(Step(name=TIME, outcome="ok", what=f"until {token.expires:%FT%TZ}"))
    if token.confirmation is not None:
        what = (
            f"bound to the key {token.confirmation.jkt or token.confirmation.x5t_s256}; only the door knows the proof"
        )
        steps[4] = Step(name=SENDER, outcome="unknown", what=what, do=remedy(NotBound.code))
    return steps


async def _behind(
    token: AccessToken, question: Question, sources: Sources, found: list[Step]
) -> tuple[VerifiedChain, ...]:
    """Return the chains behind a token, and add the step that says so."""
    if token.evidence is None:
        found.append(Step(name=CHAIN, outcome="ok", what="no credential is behind it: no agent acts"))
        return ()
    try:
        documents = await sources.evidence(token.evidence)
        if documents is None:
            raise NotEvidenced("the bridge has no credentials behind the token")
        if digest_uri(canonicalize(list(documents))) != token.evidence:
            raise NotEvidenced("the credentials behind the token have another digest")
        chains = require_evidenced(
            token,
            documents,
            strictness="agents",
            agent_key=False,
            trusted=await sources.trusted(question.now),
            max_depth=DEFAULT_MAX_DEPTH,
            known=KnownCredentials(0),
            now=min(question.now, token.expires),
        )
    except Unavailable as error:
        found.append(_untold(error, CHAIN))
        return ()
    except DidAgentError as error:
        found.append(failed(error, name=CHAIN))
        return ()
    found.append(Step(name=CHAIN, outcome="ok", what=_told(chains)))
    return chains


async def _standing(
    token: AccessToken, keys: Keys, chains: Sequence[VerifiedChain], question: Question, sources: Sources
) -> list[Step]:
    said = []
    try:
        if token.status is not None:
            await sources.require_valid(token.status, keys, question.now)
            said.append("the token counts")
        said += await _lists_say(chains, question.now, sources)
    except Unavailable as error:
        return [_untold(error, STATUS)]
    except DidAgentError as error:
        return [failed(error, name=STATUS)]
    if not said:
        return [Step(name=STATUS, outcome="unknown", what="neither the token nor a credential names a status list")]
    return [Step(name=STATUS, outcome="ok", what="; ".join(said))]


async def _lists_say(chains: Sequence[VerifiedChain], now: datetime, sources: Sources) -> list[str]:
    entries = [entry for chain in chains for entry in chain.status_entries]
    if not entries:
        return []
    lists = await sources.lists({entry.list_url for entry in entries}, await sources.trusted(now), now)
    for chain in chains:
        require_standing(chain, lists, now=now)
    return [f"no credential is revoked or suspended ({len({entry.list_url for entry in entries})} lists)"]


def _rights(caller: VerifiedCaller, resource: str, question: Question) -> list[Step]:
    """Return what is decided about a call from the rights alone; rules and counters are the door's."""
    unasked = "the rules of the policy in force are the door's to ask"
    rules = Step(name=RULES, outcome="unknown", what=unasked)
    if question.tool is None:
        what = "say which tool, and it is judged"
        return [*(Step(name=name, outcome="unknown", what=what) for name in RIGHTS if name != RULES), rules]
    call = Call(resource=resource, tool=question.tool, arguments=question.arguments or {})
    decision = decide(caller, call, limits_are_counted=True)
    steps = {AGENT: _fine(AGENT), ARGUMENTS: _fine(ARGUMENTS), USER: _fine(USER, "nobody is behind the agent")}
    for term in decision.terms:
        name = _ELSEWHERE.get(term.reason, _RIGHTS[term.name])
        outcome: Any = "ok" if term.allowed else "failed"
        steps[name] = Step(name=name, outcome=outcome, what=term.why, do="" if term.allowed else remedy(term.reason))
    if caller.principal.kind == "user" and caller.entitlements is None:
        what = f"what {caller.principal.id} may, the policy of the resource says"
        steps[USER] = Step(name=USER, outcome="unknown", what=what)
    if steps[AGENT].outcome == "failed":
        steps[ARGUMENTS] = Step(name=ARGUMENTS, outcome="not reached")
    return [*steps.values(), rules]


def _fine(name: str, what: str = "") -> Step:
    return Step(name=name, outcome="ok", what=what)


async def judge_presentation(
    text: str, claims: Mapping[str, object], question: Question, sources: Sources
) -> Explanation:
    proof = claims.get("proof")
    named = claims.get("aud") if "aud" in claims else proof.get("domain") if isinstance(proof, dict) else None
    audience = question.audience or str(named)
    found: list[Step] = []
    try:
        trusted = await sources.trusted(question.now)
        expected = Expected(
            audience=frozenset({audience}),
            now=question.now,
            trusted=trusted,
            max_depth=DEFAULT_MAX_DEPTH,
            challenge="jti",
        )
        asked = _asked(text, expected, _issued(claims), found)
        found += _read_from(asked, audience, question)
        found.append(await _status_of(asked, question, sources))
        if not _failures(step for step in found if step.name == STATUS):
            found += _rights(caller_from_presentation(_shown(asked), resource=audience), audience, question)
    except DidAgentError as error:
        found.append(failed(error))
    steps = in_order((*ADMISSION["vp"], *RIGHTS), found)
    who = f"a presentation by {claims.get('holder', 'nobody named')} for {audience}"
    return Explanation(kind="presentation", title=who, allowed=_verdict(found), steps=steps)


async def _status_of(asked: Asked, question: Question, sources: Sources) -> Step:
    chains = () if asked.chain is None else (asked.chain,)
    try:
        said = await _lists_say(chains, question.now, sources)
    except Unavailable as error:
        return _untold(error, STATUS)
    except DidAgentError as error:
        return failed(error, name=STATUS)
    if not said:
        return Step(name=STATUS, outcome="unknown", what="no credential names a status list")
    return Step(name=STATUS, outcome="ok", what="; ".join(said))


def _shown(asked: Asked) -> VerifiedPresentation:
    """Return who presents, whatever the status lists say: that is a step of its own."""
    return replace(judge(replace(asked, chain=None), {}), chain=asked.chain)


def _asked(text: str, expected: Expected, issued: datetime | None, found: list[Step]) -> Asked:
    """Return a presentation that holds offline; one that needs a proof of its holder's key is judged as beside one."""

    def verify(now: datetime) -> Asked:
        try:
            return ask(text, replace(expected, now=now))
        except NotBound as error:
            asked = ask(text, replace(expected, now=now, challenge="proof"))
            what = "bound to its holder's key; only the door knows the proof"
            found.append(Step(name=SENDER, outcome="unknown", what=what, do=remedy(error.code)))
            return asked

    return _at_its_time(verify, issued=issued, now=expected.now, found=found)


def _read_from(asked: Asked, audience: str, question: Question) -> list[Step]:
    signed = asked.signed
    compared = "" if question.audience else "; whom it was shown to, you say with an audience"
    steps = [
        Step(name=FORM, outcome="ok", what=f"a presentation ({signed.form})"),
        Step(name=AUDIENCE, outcome="ok", what=audience + compared),
        Step(name=SIGNATURE, outcome="ok", what=f"by {signed.signer}"),
    ]
    if not signed.is_bound:
        what = "good for one request; whether it was shown before, only the door knows"
        steps.append(Step(name=SENDER, outcome="unknown", what=what))
    if asked.chain is not None:
        steps.append(Step(name=ISSUER, outcome="ok", what=asked.chain.root_issuer))
        steps.append(Step(name=CHAIN, outcome="ok", what=_told((asked.chain,))))
    return steps


def _told(chains: Sequence[VerifiedChain]) -> str:
    hops = [" ◂ ".join((*(link.subject for link in chain.links), chain.root_issuer)) for chain in chains]
    return "; ".join(f"{hop}: every hop signed and no wider than the one before" for hop in hops)


def _untold(error: DidAgentError, name: str) -> Step:
    what = f"{error.code}: {error.detail or error.public}"
    return Step(name=name, outcome="unknown", what=what, do=remedy(error.code))


def _failures(found: Iterable[Step]) -> bool:
    return any(step.outcome == "failed" for step in found)


def _verdict(found: Iterable[Step]) -> bool | None:
    return False if _failures(found) else None


def _title(token: AccessToken | None, claims: Mapping[str, object]) -> str:
    if token is None:
        return f"a token that says it is of {str(claims.get('sub'))[:120]}; nothing of it is believed"
    through = f" through {' ◂ '.join(token.actors)}" if token.actors else ""
    return f"a token of {token.subject}{through} for {token.audience}: {' '.join(sorted(token.scopes))}"


async def _facts(token: AccessToken, sources: Sources) -> dict[str, str]:
    facts = {"token_id": token.id} | ({} if token.evidence is None else {"evidence": token.evidence})
    agent = token.actors[0] if token.actors else token.subject
    try:
        rows = await sources.decided(token.id, agent)
    except (NotFound, Unavailable):
        return facts
    counted: dict[str, int] = {}
    for row in rows:
        event = row["event"]
        said = "allowed" if event["decision"] == "allow" else str(event["reason"])
        key = f"{event['action']} {said}"
        counted[key] = counted.get(key, 0) + 1
    told = ", ".join(f"{number} × {key}" for key, number in sorted(counted.items()))
    return {**facts, "recorded": told} if told else facts
