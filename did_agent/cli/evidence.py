"""`did-agent audit bundle|verify-bundle`: prove one call to somebody who knows nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import click

from did_agent.adapters.files import write_private
from did_agent.adapters.jwks import readable_keys
from did_agent.audit.bundle import MAX_BUNDLE, Bundle, read_bundle, require_whole, write_bundle
from did_agent.audit.cosignature import parse_verifier_key
from did_agent.audit.stranger import Finding, Pins, Verdict, check_bundle
from did_agent.cli.deployment import Deployment
from did_agent.cli.inspection import MAX_FILE, compact
from did_agent.cli.output import emit, json_option
from did_agent.client.bundle import EvidenceClient, reading
from did_agent.clock import format_milliseconds
from did_agent.encoding.strict_json import parse_json
from did_agent.errors import BadBundle, BadCredential, DidAgentError, UntrustedIssuer, WrongKey
from did_agent.keys.public import PublicKey
from did_agent.tokens.access_token import verify_access_token

_WEIGHTS: Mapping[str, str] = {
    "proven": "proven by signatures in the file:",
    "said": "said by who recorded it, and sealed in the log since:",
    "unknown": "not to be told from this file:",
}
_UNPINNED = (
    "these keys are taken from the file: ask whether they are whose they are said to be, "
    "and name them with --issuer, --log-key and --party"
)


@click.command("bundle")
@click.argument("identifier")
@click.option("-o", "--output", "file", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--credentials",
    type=click.File("rb"),
    multiple=True,
    help="Credentials of a call that was made with a presentation: a JSON list, that of the caller first.",
)
@json_option
@click.pass_obj
def make_bundle(at: Deployment, identifier: str, file: Path, credentials: Sequence[IO[bytes]], as_json: bool) -> None:
    """Write the evidence of one event or request to a file that anybody can check.

    IDENTIFIER is the id of an event, the request id that a party answered with, or `last`.
    """
    held = [_listed(one.read(MAX_FILE + 1)) for one in credentials]
    bundle = asyncio.run(client_of(at).gather(identifier, held=held))
    known = at.trust.ledger
    if known is not None and known != bundle.log:
        raise UntrustedIssuer(f"the ledger signs with {bundle.log}, and trust.json names {known}")
    raw = write_bundle(bundle)
    verdict = _checked(raw, Pins(log=bundle.log, origin=bundle.origin))
    write_private(file.absolute(), raw)
    told = {"file": str(file), "bytes": len(raw), "event": verdict.event.id, "rows": verdict.rows}
    missing = [found.what for found in verdict.findings if found.weight == "unknown"]
    text = f"wrote {file} ({len(raw)} bytes, {verdict.rows} rows) about {verdict.event.id}"
    emit(
        {**told, "missing": missing}, as_json=as_json, text="\n".join([text, *(f"  without: {one}" for one in missing)])
    )


@click.command("verify-bundle")
@click.argument("file", type=click.File("rb"))
@click.option("--issuer", "issuers", multiple=True, metavar="DID", help="Believe these issuers alone.")
@click.option("--log-key", metavar="DID", help="The log must be signed by this key.")
@click.option("--origin", metavar="NAME", help="The log must have this name.")
@click.option("--party", "parties", multiple=True, metavar="DID", help="These parties alone may have recorded it.")
@click.option("--witness", "witnesses", multiple=True, metavar="KEY", help="Must have co-signed; name+id+key.")
@click.option("--quorum", type=click.IntRange(0), help="How many of the witnesses are enough; all if left out.")
@click.option("--token", type=click.File("rb"), help="The call must have been made with this access token; or -.")
@json_option
def verify_bundle(  # options of one command
    *,
    file: IO[bytes],
    issuers: Sequence[str],
    log_key: str | None,
    origin: str | None,
    parties: Sequence[str],
    witnesses: Sequence[str],
    quorum: int | None,
    token: IO[bytes] | None,
    as_json: bool,
) -> None:
    """Check an evidence bundle offline: needs no deployment, no key and no network.

    Ends with 1 and names the first thing that does not fit.  What it says is proven by keys; whose keys these are, you
    find out elsewhere and say with the options.
    """
    pins = Pins(
        issuers=frozenset(issuers) or None,
        log=log_key,
        origin=origin,
        parties=frozenset(parties) or None,
        witnesses=tuple(parse_verifier_key(one) for one in witnesses),
        quorum=quorum,
    )
    raw = file.read(MAX_BUNDLE + 1)
    verdict = _checked(raw, pins)
    if token is not None:
        verdict = with_token(verdict, read_bundle(raw), compact(token.read(MAX_FILE).strip()))
    emit(to_json(verdict), as_json=as_json, text="\n".join(_lines(verdict, pins)))


def client_of(at: Deployment) -> EvidenceClient:
    """Return the client of the operator here."""
    url = at.urls.ledger_url
    return EvidenceClient(reading("ledger", url, auth=at.operator_auth(url)), at.urls.bridge_url)


def to_json(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict for `--json`."""
    anchors = verdict.anchors
    return {
        "verified": True,
        "event": verdict.event.to_json(),
        "log": {"origin": anchors.origin, "key": anchors.log, "size": verdict.checkpoint.size},
        "issuers": list(anchors.issuers),
        "parties": list(anchors.parties),
        "bridge": anchors.bridge,
        "findings": [{"weight": one.weight, "what": one.what, "by": one.by} for one in verdict.findings],
    }


def with_token(verdict: Verdict, bundle: Bundle, text: str) -> Verdict:
    """Return a verdict that also says that the call was made with a token: the bridge's word, by its own signature.

    Raises: BadBundle when it is another call's, or the bridge's keys in the bundle did not sign it.
    """
    event, bridge = verdict.event, bundle.bridge
    try:
        keys = readable_keys(bridge.get("jwks") or {})
        found = verify_access_token(
            text,
            find_key=lambda header, _claims: _key(keys, header.get("kid")),
            expected_issuer=str(bridge.get("issuer")),
            expected_audience=str(event.resource),
            proven=None,
            now=event.time,
        )
    except DidAgentError as error:
        raise BadBundle(f"the token does not hold: {error.code}: {error.detail or error.public}") from error
    if (found.id, found.evidence, found.actors) != (event.token_id, event.evidence, event.actors):
        raise BadBundle("the token is another call's")
    what = f"the token of the call says so too: {found.subject} for {found.audience}, by the bridge {found.issuer}"
    return replace(verdict, findings=(*verdict.findings, Finding(weight="proven", what=what)))


def _key(keys: Mapping[str | None, PublicKey], kid: object) -> PublicKey:
    found = keys.get(kid if isinstance(kid, str) else None)
    if found is None:
        raise WrongKey("no such key of the bridge is in the bundle")
    return found


def _checked(raw: bytes, pins: Pins) -> Verdict:
    verdict = check_bundle(read_bundle(raw), pins)
    require_whole(raw)
    return verdict


def _lines(verdict: Verdict, pins: Pins) -> list[str]:
    event, anchors = verdict.event, verdict.anchors
    lines = [f"ok: everything fits ({format_milliseconds(event.time)}, event {event.id})"]
    for weight, title in _WEIGHTS.items():
        found = [one for one in verdict.findings if one.weight == weight]
        lines += [title, *map(_line, found)] if found else []
    lines += ["it all rests on these keys:", f"  log     {anchors.log} ({anchors.origin})"]
    lines += [f"  issuer  {issuer}" for issuer in anchors.issuers]
    lines += [f"  party   {party}" for party in anchors.parties]
    every = pins.log is not None and pins.parties is not None and (pins.issuers is not None or not anchors.issuers)
    return lines if every else [*lines, _UNPINNED]


def _line(found: Finding) -> str:
    return f"  {found.what}" + (f" [{found.by}]" if found.by is not None and found.weight == "proven" else "")


def _listed(raw: bytes) -> list[dict[str, Any]]:
    content = parse_json(raw)
    listed: list[Any] = content if isinstance(content, list) else [content]
    if not listed or not all(isinstance(one, dict) for one in listed):
        raise BadCredential("a JSON list of credentials is needed, that of the caller first")
    return listed
