"""What a person allowed an agent follows it to its next key: by the word of the key before, and by nothing else.

A key that an owner put in place of a lost one was named by nobody: whoever has it may be somebody else.  Nor does
anything follow an agent to another owner: that is not who was shown to the person.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bridge.model import Code
from bridge.model.backchannel import Asking
from bridge.model.refresh import RefreshFamily
from bridge.model.succession import Succession
from did_agent.did.key import parse_did_key
from did_agent.errors import BadGrant, Malformed, VerificationError
from did_agent.keys.jwk import thumbprint
from did_agent.proof.jwt import unverified_jws
from did_agent.tokens.confirmation import Confirmation
from did_agent.tokens.continuity import recall_continuity


def successor(did: str, known: Succession, *, given: datetime, issuer_url: str) -> str:
    """Return the key that the agent of `did` has by now, when each from that one on named the next.

    `given` is when the person allowed it, or was asked.
    Raises: BadGrant.
    """
    if did == known.current:
        return did
    if known.handed_over is not None and known.handed_over >= given:
        raise BadGrant("the agent was given to another owner since: the person must be asked again")
    said, current = {_signer(text): text for text in known.statements}, did
    for _ in known.statements:
        text = said.get(current)
        if text is None:
            break
        try:
            step = recall_continuity(text, expected_before=current, expected_audience=issuer_url)
        except (Malformed, VerificationError) as error:
            raise BadGrant(f"a change of the agent's key does not hold: {error.code}") from error
        if step.agent_id != known.agent_id:
            raise BadGrant("a change of keys is another agent's")
        current = step.after
    if current != known.current:
        raise BadGrant("the agent's key was not named by the one before it: the person must be asked again")
    return current


def all_keys(known: Succession) -> frozenset[str]:
    """Return every key that is told of, to end what any of them holds."""
    return frozenset(filter(None, (known.current, *map(_signer, known.statements))))


def code_of(code: Code, *, before: str, after: str) -> Code:
    """Return what was allowed to one key of an agent, for the next."""
    asked = code.request
    is_client = asked.client_id == before
    request = replace(
        asked,
        actor=after,
        client_id=after if is_client else asked.client_id,
        asked_as=asked.asked_as or (before if is_client else None),
        dpop_jkt=_key(asked.dpop_jkt, before, after),
    )
    return replace(code, request=request)


def family_of(family: RefreshFamily, *, before: str, after: str) -> RefreshFamily:
    """Return a family of one key of an agent, for the next; what is bound to a third key stays bound to it (TOK-11)."""
    bound = family.confirmation
    if bound is not None and bound.jkt is not None:
        bound = Confirmation(jkt=_key(bound.jkt, before, after))
    return replace(family, code=code_of(family.code, before=before, after=after), confirmation=bound)


def asking_of(asking: Asking, *, before: str, after: str) -> Asking:
    """Return a question that one key of an agent asked, for the next."""
    client = after if asking.client_id == before else asking.client_id
    return replace(asking, agent=after, client_id=client, jkt=_key(asking.jkt, before, after))


def _key(jkt: str | None, before: str, after: str) -> str | None:
    return thumbprint(parse_did_key(after)) if jkt == thumbprint(parse_did_key(before)) else jkt


def _signer(text: str) -> str:
    try:
        return str(unverified_jws(text)[1].get("iss"))  # for routing alone: it is verified when it is followed
    except (Malformed, VerificationError):
        return ""
