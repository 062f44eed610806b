"""Our verification and issuing, as pieces of work that can be timed, and the floor they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from material import AGENTS, AUDIENCE, CHALLENGE, HOLDER, HOPS, ISSUER, SUITES, Material, issued, text_of
from nacl.signing import VerifyKey

from did_agent.credential import closed
from did_agent.credential.chain import verify_chain
from did_agent.credential.known import KnownCredentials
from did_agent.credential.model import parse_capability_credential
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.encoding import base64url, jsonld, multibase
from did_agent.errors import HolderMismatch, WrongChallenge
from did_agent.keys.ed25519 import PublicKey, SigningKey
from did_agent.presentation.model import Expected
from did_agent.presentation.verify import ask, judge
from did_agent.proof.cryptosuite import HASH_AND_SIGN
from did_agent.proof.vc_jose import verify_secured

Work = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One thing that is timed; `before` runs outside the clock."""

    name: str
    work: Work
    before: Work | None = None


def measures(material: Material) -> list[Measure]:
    """Return what is timed of ours; each piece of work raises unless it succeeds in full."""
    texts = {name: text_of(document) for name, document in material.presentations.items()}
    known = {name: KnownCredentials() for name in texts}
    challenged, spent = _expected(material.now, "required"), _expected(material.now, "jti")
    for name, text in texts.items():
        ask(text, challenged, known=known[name])
    signed = {name: issued(material.credential, suite, material.now) for name, suite in SUITES.items()}
    return [
        *(Measure(name=f"floor {name}", work=work) for name, work in _floors(material).items()),
        Measure(name="verify jcs", work=lambda: judge(ask(texts["jcs"], challenged), {})),
        Measure(name="verify vp+jwt", work=lambda: judge(ask(material.jwt, spent), {})),
        Measure(name="verify vp+jwt of vc+jwt", work=lambda: _verify_enveloped(material)),
        Measure(name="verify rdfc, shape seen", work=lambda: judge(ask(texts["rdfc"], challenged), {})),
        Measure(
            name="verify rdfc, shape first seen",
            work=lambda: judge(ask(texts["rdfc"], challenged), {}),
            before=forget_shapes,
        ),
        Measure(name="known jcs", work=lambda: judge(ask(texts["jcs"], challenged, known=known["jcs"]), {})),
        Measure(name="known rdfc", work=lambda: judge(ask(texts["rdfc"], challenged, known=known["rdfc"]), {})),
        *(
            Measure(name=f"issue {name}", work=partial(issued, material.credential, suite, material.now))
            for name, suite in SUITES.items()
        ),
        *(
            Measure(name=f"credential {name}", work=partial(_verify, document, material.now))
            for name, document in signed.items()
        ),
        Measure(name=f"chain of {HOPS}", work=lambda: _verify_chain(material)),
    ]


def judged(text: str, now: datetime) -> object:
    """Verify a presentation in full."""
    return judge(ask(text, _expected(now, "required")), {})


def forget_shapes() -> None:
    """Make the next canonicalization one of a shape that was never seen; nothing to do where none is remembered."""
    forget = getattr(jsonld, "forget_shapes", None)
    if forget is not None:
        forget()


def _expected(now: datetime, challenge: Any) -> Expected:
    trusted = TrustedIssuers.of(did_key(ISSUER.public))
    return Expected(audience=frozenset({AUDIENCE}), now=now, trusted=trusted, max_depth=HOPS, challenge=challenge)


def _verify_enveloped(material: Material) -> None:
    shown = verify_secured(material.enveloped_jwt, envelope="vp+jwt", now=material.now)
    if shown.proof["aud"] != AUDIENCE or shown.proof["nonce"] != CHALLENGE:
        raise WrongChallenge("the presentation is not for us")
    (credential,) = closed.array(shown.document["verifiableCredential"], "verifiableCredential", least=1, most=1)
    members = closed.members(credential, "credential", required=frozenset({"@context", "id", "type"}))
    token = closed.uri(members["id"], "credential").partition(",")[2]
    inner = verify_secured(token, envelope="vc+jwt", now=material.now)
    granted = parse_capability_credential(inner.document)
    granted.period.require_current(material.now, "credential")
    if not granted.subject == shown.controller == shown.document["holder"] or granted.issuer != inner.controller:
        raise HolderMismatch("issuer, subject and holder are not those who signed")


def _verify(document: Mapping[str, Any], now: datetime) -> None:
    trusted = TrustedIssuers.of(did_key(ISSUER.public))
    verify_chain([document], holder=did_key(HOLDER.public), now=now, trusted=trusted, max_depth=HOPS)


def _verify_chain(material: Material) -> None:
    trusted = TrustedIssuers.of(did_key(ISSUER.public))
    holder = did_key(AGENTS[HOPS - 1].public)
    verify_chain(material.chain, holder=holder, now=material.now, trusted=trusted, max_depth=HOPS)


# ---- the floor: two bare verifications of the very messages that a presentation and its credential are signed as


def _floors(material: Material) -> dict[str, Work]:
    floors = {
        name: _bare([_embedded(shown, HOLDER), _embedded(shown["verifiableCredential"][0], ISSUER)])
        for name, shown in material.presentations.items()
    }
    credential = material.presentations["jcs"]["verifiableCredential"][0]
    floors["vp+jwt"] = _bare([_token(material.jwt), _embedded(credential, ISSUER)])
    return floors


def _bare(signed: Sequence[tuple[PublicKey, bytes, bytes]]) -> Work:
    ready = [(VerifyKey(key.raw), message, signature) for key, message, signature in signed]

    def verify() -> None:
        for key, message, signature in ready:
            key.verify(message, signature)

    return verify


def _embedded(secured: Mapping[str, Any], key: SigningKey) -> tuple[PublicKey, bytes, bytes]:
    document = {name: value for name, value in secured.items() if name != "proof"}
    message = HASH_AND_SIGN[secured["proof"]["cryptosuite"]].hash_data(document, secured["proof"], "Ed25519")
    return key.public, message, multibase.decode(secured["proof"]["proofValue"])


def _token(token: str) -> tuple[PublicKey, bytes, bytes]:
    message, _, signature = token.rpartition(".")
    return HOLDER.public, message.encode(), base64url.decode(signature)
