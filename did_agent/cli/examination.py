"""Examine one secured document offline: what it is, and a tree of what held and what did not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from did_agent.credential import bitstring, verification
from did_agent.credential.envelope import Role, read_secured
from did_agent.credential.sd_jwt_vc import verify_sd_jwt_vc
from did_agent.credential.token_status import verify_status_list_token
from did_agent.credential.verification import CredentialVerdict, Evidence
from did_agent.did.resolve import method_key
from did_agent.errors import DidAgentError
from did_agent.keys.public import PublicKey
from did_agent.presentation.verification import ExpectedPresentation, ProvenPresentation, prove
from did_agent.proof.data_integrity import proof_methods
from did_agent.proof.jwt import unverified_jws
from did_agent.proof.sd_jwt import KeyBinding, WithoutKeyBinding
from did_agent.proof.vc_jose import MAX_SECURED
from did_agent.tokens.consent_receipt import verify_receipt

OFFLINE: Final = "not looked up: this check is offline"
_UNKNOWN_OFFLINE: Final = frozenset({"status_unavailable", "schema_violated"})
_MARKS: Final = {True: "ok", False: "FAILED", None: "-"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step and those below it; `holds` is None where nothing could be said."""

    name: str
    holds: bool | None
    detail: str = ""
    error: DidAgentError | None = None
    below: tuple[Step, ...] = ()

    @property
    def failure(self) -> DidAgentError | None:
        """The first error in this step or below."""
        return self.error or next((step.failure for step in self.below if step.failure is not None), None)

    def to_json(self) -> dict[str, Any]:
        """Return the step for `--json`."""
        found: dict[str, Any] = {"step": self.name, "holds": self.holds}
        found |= {"detail": self.detail} if self.detail else {}
        found |= {"code": self.error.code} if self.error is not None else {}
        return found | ({"steps": [step.to_json() for step in self.below]} if self.below else {})

    def lines(self, indent: str = "") -> Iterator[str]:
        """Yield the step as text, those below it indented."""
        words = self.detail or (self.error.detail if self.error is not None else "")
        yield f"{indent}{_MARKS[self.holds]:7}{self.name}{': ' + words if words else ''}"
        for step in self.below:
            yield from step.lines(indent + "  ")


def held(name: str, detail: str = "", *below: Step) -> Step:
    """Return a step that holds as far as those below it do."""
    return Step(name=name, holds=all(step.holds is not False for step in below), detail=detail, below=below)


def failed(name: str, error: DidAgentError) -> Step:
    """Return a step that does not hold."""
    return Step(name=name, holds=False, detail=error.detail, error=error)


def examine_credential(secured: Mapping[str, object] | str, *, now: datetime, name: str = "credential") -> Step:
    """Return what held of any credential, a status list included; status and schemas elsewhere are not looked up.

    Raises: Malformed leaves when its form cannot be read.
    """
    form = _form(secured, "credential")
    try:
        asked = verification.ask(secured, now=now)
    except DidAgentError as error:
        return held(name, "", *form, failed("proof and data model", error))
    verdict = verification.judge(asked, Evidence())
    steps = [
        *form,
        held("proof", f"by {', '.join(asked.controllers)}"),
        held("issuer", "is who signed"),
        held("data model", "every member has a meaning under the document's context"),
        *_offline(verdict),
        *_listed(asked.document),
    ]
    return held(name, str(asked.document.get("id", "")), *steps)


def examine_presentation(
    secured: Mapping[str, object] | str, *, challenge: str | None, audience: str, now: datetime
) -> tuple[Step, ProvenPresentation | None]:
    """Return what held of any presentation and of each credential in it.

    Raises: Malformed leaves when its form cannot be read.
    """
    form = _form(secured, "presentation")
    expected = ExpectedPresentation(challenge=challenge, domains=frozenset({audience}), now=now)
    try:
        proven = prove(secured, expected)
    except DidAgentError as error:
        return held("presentation", "", *form, failed("proof, holder, audience and challenge", error)), None
    steps = [
        *form,
        held("proof", f"by {proven.holder}"),
        held("audience", audience),
        held("challenge", challenge) if challenge else Step(name="challenge", holds=None, detail="none was expected"),
        *(
            examine_credential(credential, now=now, name=f"credential {number}")
            for number, credential in enumerate(proven.credentials, 1)
        ),
    ]
    return held("presentation", proven.holder, *steps), proven


def _form(secured: Mapping[str, object] | str, role: Role) -> tuple[Step, ...]:
    """Say what the document is; what cannot even be read raises, and nothing is told of it."""
    unverified = read_secured(secured, role)
    if unverified.document is None:
        return (held("form", unverified.media_type),)
    proofs = unverified.document.get("proof")
    listed = proofs if isinstance(proofs, list) else [proofs]
    suites = [str(proof.get("cryptosuite")) for proof in listed if isinstance(proof, dict)]
    proof_methods(unverified.document)
    return (held("form", f"{unverified.media_type} with {', '.join(suites)}"),)


def _offline(verdict: CredentialVerdict) -> Iterator[Step]:
    for finding in verdict.findings:
        if finding.step == "proof":
            continue
        if finding.error is None:
            yield held(finding.step, finding.input if isinstance(finding.input, str) else "")
        elif finding.error.code in _UNKNOWN_OFFLINE and finding.step in ("credentialStatus", "credentialSchema"):
            yield Step(name=finding.step, holds=None, detail=OFFLINE)
        else:
            yield failed(finding.step, finding.error)


def _listed(document: Mapping[str, object]) -> Iterator[Step]:
    """Say what a status list credential lists."""
    subject = document.get("credentialSubject")
    if not isinstance(subject, dict) or subject.get("type") != "BitstringStatusList":
        return
    try:
        bits = bitstring.decode(subject.get("encodedList"))
    except DidAgentError as error:
        yield failed("status list", error)
        return
    found = int.from_bytes(bits, "big").bit_count()
    yield held("status list", f"{len(bits) * 8} entries for {subject.get('statusPurpose')}, {found} set")


def examine_status_token(token: str, *, now: datetime) -> Step:
    """Return what held of a Token Status List; its key is the one that `kid` names as a DID URL."""
    try:
        _, claims = unverified_jws(token, max_bytes=MAX_SECURED)
        found = verify_status_list_token(
            token,
            expected_uri=str(claims.get("sub")),
            expected_issuer=None,
            find_key=_named_key,
            fetched_at=now,
            now=now,
        )
    except DidAgentError as error:
        return failed("token status list", error)
    entries = len(found.statuses) * 8 // found.bits
    steps = (
        held("proof"),
        held("status list", f"{entries} entries of {found.bits} bits, until {found.expires:%FT%TZ}"),
    )
    return held("token status list", found.uri, *steps)


def examine_sd_jwt(text: str, *, audience: str | None, challenge: str | None, now: datetime) -> Step:
    """Return what held of an SD-JWT VC; its key binding is judged where an audience and a challenge are given."""
    binding: KeyBinding | WithoutKeyBinding = "insecure_without_key_binding"
    if audience is not None and challenge is not None:
        binding = KeyBinding(audience=audience, nonce=challenge)
    try:
        # Which type is wanted nobody said: the one it claims to be is shown, not trusted.
        _, claims = unverified_jws(text.split("~", 1)[0], max_bytes=MAX_SECURED, names_did=True)
        claimed = frozenset({str(claims.get("vct"))})
        found = verify_sd_jwt_vc(text, expected_vct=claimed, key_binding=binding, now=now)
    except DidAgentError as error:
        return failed("SD-JWT VC", error)
    bound = Step(name="key binding", holds=None, detail="not judged: say --audience and --challenge")
    if found.holder is not None:
        bound = held("key binding", str(audience))
    claims_shown = held("claims", ", ".join(sorted(found.claims)))
    return held("SD-JWT VC", found.vct, held("proof", f"by {found.issuer}"), bound, claims_shown)


def examine_receipt(text: str, *, trusted: frozenset[str], now: datetime) -> tuple[Mapping[str, object], Step]:
    """Return what a consent receipt says and what held of it; that a consent ended is told and no failure."""
    try:
        found = verify_receipt(text, trusted=trusted, now=now)
    except DidAgentError as error:
        return {}, failed("consent receipt", error)
    over = Step(name="consent", holds=None, detail=f"ended {found.ends:%FT%TZ}; the receipt says what was allowed")
    lasts = Step(name="consent", holds=None, detail="not yet ended; whether it was withdrawn, the account page says")
    steps = (held("proof", f"by {found.signer}"), held("signer", "a party on the trust list"))
    told: dict[str, object] = {"consent": found.id, "issuer": found.issuer, "person": found.person}
    told |= {"client": found.client, "agent": found.agent, "resource": found.resource}
    told |= {"allowed": [f"{scope}: {words}" for scope, words in sorted(found.scopes.items())]}
    told |= {"given": f"{found.given:%FT%TZ}", "until": f"{found.ends:%FT%TZ}"}
    shown = {name: value for name, value in told.items() if value is not None}
    return shown, held("consent receipt", "", *steps, over if found.ends <= now else lasts)


def _named_key(header: Mapping[str, object], _claims: Mapping[str, object]) -> PublicKey:
    return method_key(header.get("kid"), relationship="assertionMethod")[1]
