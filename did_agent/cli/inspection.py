"""`did-agent verify`: look into credentials, presentations, status lists and receipts, offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, Final

import click

from did_agent.cli.deployment import Deployment
from did_agent.cli.examination import (
    Step,
    examine_credential,
    examine_presentation,
    examine_receipt,
    examine_sd_jwt,
    examine_status_token,
    held,
)
from did_agent.cli.output import emit, grid, json_option
from did_agent.cli.tool_receipts import examine_tool_receipt, read_result
from did_agent.clock import format_timestamp, system_clock
from did_agent.credential.chain import DEFAULT_MAX_DEPTH, VerifiedChain, verify_chain
from did_agent.credential.model import (
    CAPABILITY_TYPE,
    IDENTITY_TYPE,
    parse_capability_credential,
    parse_identity_credential,
)
from did_agent.credential.trust import TrustedIssuers
from did_agent.encoding.strict_json import parse_json
from did_agent.encoding.timestamp import parse_timestamp
from did_agent.errors import BadCredential, BadJOSE, WrongChallenge, WrongIssuer, WrongType
from did_agent.presentation.model import Expected
from did_agent.presentation.verify import ask
from did_agent.proof.data_integrity import verify_proof
from did_agent.proof.jwt import unverified_jws
from did_agent.proof.vc_jose import MAX_SECURED

MAX_FILE: Final = 262_144  # bytes
MAX_DEPTH: Final = 64  # levels; strangers nest deeper than our own
_DOTS: Final = 2  # of a compact JWS


@click.command("verify")
@click.argument("file", type=click.File("rb"))
@click.option("--audience", help="For a presentation or a tool receipt: whom it must be addressed to.")
@click.option("--challenge", help="For a presentation: the challenge it must answer.")
@click.option("--now", "moment", help="Judge as of this time, such as 2026-11-23T10:00:00Z, instead of now.")
@click.option("--result", type=click.File("rb"), help="For a tool receipt: the result that it must be for.")
@click.option("--signer", "signers", multiple=True, metavar="DID", help="For a receipt: believe this signer too.")
@json_option
@click.pass_obj
def verify_file(  # each is one thing that can be asked for
    at: Deployment,
    /,
    *,
    file: IO[bytes],
    audience: str | None,
    challenge: str | None,
    moment: str | None,
    result: IO[bytes] | None,
    signers: Sequence[str],
    as_json: bool,
) -> None:
    """Check a credential, presentation, status list or receipt offline: all but revocation.

    Capability and identity credentials are also held against the trust list of this machine, and so are receipts of
    consent and of tool calls; of everything else only the tree of what held and what did not is told.
    """
    raw = file.read(MAX_FILE + 1).strip()
    now = system_clock() if moment is None else parse_timestamp(moment)
    trust = at.trust
    asking = Asking(
        audience=audience,
        challenge=challenge,
        now=now,
        trusted=TrustedIssuers.of(*trust.issuers),
        parties=frozenset({*trust.parties, *signers}),
        result=None if result is None else read_result(result),
    )
    if raw[:1] not in (b"{", b"["):
        found, tree = _of_text(compact(raw), asking)
    else:
        content = parse_json(raw, max_depth=MAX_DEPTH)
        documents: list[Any] = content if isinstance(content, list) else [content]
        if not documents or not all(isinstance(one, dict) for one in documents):
            raise BadCredential("a list must hold credentials")
        found, tree = _of_documents(documents, raw.decode("utf-8", "replace"), asking)
    _tell(found, tree, as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What the command line demands."""

    audience: str | None
    challenge: str | None
    now: datetime
    trusted: TrustedIssuers
    parties: frozenset[str]
    result: Mapping[str, Any] | None = None  # that a receipt must be for


def _tell(found: Mapping[str, object], tree: Step, *, as_json: bool) -> None:
    failure = tree.failure
    result = {"verified": failure is None, **found, "steps": [tree.to_json()]}
    words = "not verified" if failure else "verified (revocation was not looked up)"
    rows = grid([(f"{key}:", _line(value)) for key, value in found.items()]) if found else ""
    emit(result, as_json=as_json, text="\n".join([words, *filter(None, [rows]), *tree.lines()]))
    if failure is not None:
        raise failure


def _of_text(text: str, asking: Asking) -> tuple[Mapping[str, object], Step]:
    if "~" in text:
        return {}, examine_sd_jwt(text, audience=asking.audience, challenge=asking.challenge, now=asking.now)
    jws, _ = unverified_jws(text, max_bytes=MAX_SECURED)
    if jws.type in ("vc+jwt", "jwt", ""):
        return {}, examine_credential(text, now=asking.now)
    if jws.type == "statuslist+jwt":
        return {}, examine_status_token(text, now=asking.now)
    if jws.type == "consent-receipt+jwt":
        return examine_receipt(text, trusted=asking.parties, now=asking.now)
    if jws.type == "tool-receipt+jwt":
        return examine_tool_receipt(
            text, trusted=asking.parties, audience=asking.audience, result=asking.result, now=asking.now
        )
    if jws.type == "at+jwt":
        raise WrongType("an access token is judged by whom it is for; `did-agent token introspect` asks the bridge")
    return _of_presentation(text, asking)


def _of_documents(documents: list[dict[str, Any]], raw: str, asking: Asking) -> tuple[Mapping[str, object], Step]:
    first = documents[0]
    types = first.get("type")
    named = types if isinstance(types, list) else [types]
    if "VerifiablePresentation" in named or "EnvelopedVerifiablePresentation" in named:
        return _of_presentation(raw, asking)
    if types == IDENTITY_TYPE and len(documents) == 1:
        return _identity(first, asking), examine_credential(first, now=asking.now)
    if CAPABILITY_TYPE[-1] in named or len(documents) > 1:
        found = _chain(documents, asking)
        links = [examine_credential(one, now=asking.now, name=f"link {n}") for n, one in enumerate(documents, 1)]
        return found, held("chain", "linked, narrower at every hop, from a trusted root", *links)
    return {}, examine_credential(first, now=asking.now)


def _of_presentation(raw: str, asking: Asking) -> tuple[Mapping[str, object], Step]:
    if asking.audience is None:
        raise click.UsageError("a presentation is addressed to somebody: say --audience")
    tree, proven = examine_presentation(raw, challenge=asking.challenge, audience=asking.audience, now=asking.now)
    if proven is not None and not any(CAPABILITY_TYPE[-1] in _types(one) for one in proven.credentials):
        return {"holder": proven.holder, "credentials": [str(one.get("id")) for one in proven.credentials]}, tree
    found, chain = _presentation(raw, asking)
    return found, tree if chain is None else held("presentation", "", tree, held("chain", f"for {chain.principal}"))


def _types(document: Mapping[str, object]) -> list[object]:
    types = document.get("type")
    return types if isinstance(types, list) else [types]


def _chain(documents: list[dict[str, Any]], asking: Asking) -> dict[str, object]:
    # One delegated credential alone proves only who signed it, so it is a chain without its root: refused.
    leaf = parse_capability_credential(documents[0])
    chain = verify_chain(
        documents, holder=leaf.subject, now=asking.now, trusted=asking.trusted, max_depth=DEFAULT_MAX_DEPTH
    )
    until = format_timestamp(chain.valid_until)
    found: dict[str, object] = {"credential": leaf.id, "issuer": leaf.issuer, "subject": leaf.subject, "until": until}
    return (
        found if len(documents) == 1 else {**found, "principal": chain.principal, "chain": list(chain.credential_ids)}
    )


def _identity(document: dict[str, Any], asking: Asking) -> dict[str, object]:
    found = parse_identity_credential(document)
    verified = verify_proof(document, expected_purpose="assertionMethod", now=asking.now)
    if verified.controller != found.issuer or verified.document["@context"] != document["@context"]:
        raise WrongIssuer(f"{found.id} of {found.issuer} is not what {verified.controller} signed")
    asking.trusted.require(found.issuer)
    found.period.require_current(asking.now, f"credential {found.id}")
    until = format_timestamp(found.period.end)
    named = {"name": found.name, "sponsor": found.sponsor}
    return {"credential": found.id, "issuer": found.issuer, "subject": found.subject, "until": until, **named}


def _presentation(raw: str, asking: Asking) -> tuple[dict[str, object], VerifiedChain | None]:
    expected = Expected(
        audience=frozenset({str(asking.audience)}),
        now=asking.now,
        trusted=asking.trusted,
        max_depth=DEFAULT_MAX_DEPTH,
        challenge="jti",
    )
    asked = ask(raw, expected)
    if asking.challenge is not None and asked.signed.challenge != asking.challenge:
        raise WrongChallenge("the presentation answers another challenge")
    chain = asked.chain
    return {"holder": asked.holder, "credentials": list(chain.credential_ids) if chain else []}, chain


def compact(raw: bytes) -> str:
    """Return the text of a file that holds a signed token.

    Raises: BadJOSE.
    """
    if not raw.isascii() or not raw.strip() or (raw.count(b".") != _DOTS and b"~" not in raw):
        raise BadJOSE("neither JSON nor a signed token")
    return raw.decode("ascii")


def _line(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
