"""didkit: data model 1.1 with its own Linked Data signature, the nearest to eddsa-rdfc-2022 that it knows, and JWT."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
from collections.abc import Callable
from typing import Any

import didkit
from protocol import MATERIAL, serve


def _key(name: str, did: str) -> str:
    # The `x` of the JWK is the 32 bytes after the two of the multicodec prefix.
    digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number = 0
    for digit in MATERIAL[did].removeprefix("did:key:z"):
        number = number * 58 + digits.index(digit)
    public = base64.urlsafe_b64encode(number.to_bytes(34, "big")[2:]).rstrip(b"=").decode()
    return json.dumps({"kty": "OKP", "crv": "Ed25519", "x": public, "d": MATERIAL[name]})


def _finished(call: Callable[..., Any], *arguments: str) -> str:
    async def run() -> str:
        result = call(*arguments)
        return str(await result if inspect.isawaitable(result) else result)

    return LOOP.run_until_complete(run())


LOOP = asyncio.new_event_loop()
asyncio.set_event_loop(LOOP)
ISSUER, HOLDER = _key("issuerSeed", "issuer"), _key("holderSeed", "holder")
CREDENTIAL = json.dumps(
    {
        "@context": [
            "https://www.w3.org/2018/credentials/v1",
            {
                "@vocab": "https://w3id.org/did-agent#",
                "tools": {"@id": "https://w3id.org/did-agent#tools", "@type": "@json"},
                "limits": {"@id": "https://w3id.org/did-agent#limits", "@type": "@json"},
            },
        ],
        "id": MATERIAL["credential"]["id"],
        "type": ["VerifiableCredential", "AgentCapabilityCredential"],
        "issuer": MATERIAL["issuer"],
        "issuanceDate": MATERIAL["credential"]["validFrom"],
        "expirationDate": MATERIAL["credential"]["validUntil"],
        "credentialSubject": MATERIAL["credential"]["credentialSubject"],
    }
)


def _method(did: str) -> str:
    return f"{did}#{did.removeprefix('did:key:')}"


def _issue(form: str) -> str:
    options = {"verificationMethod": _method(MATERIAL["issuer"]), "proofPurpose": "assertionMethod"}
    return _finished(didkit.issue_credential, CREDENTIAL, json.dumps(options | {"proofFormat": form}), ISSUER)


def _asked(form: str) -> str:
    options = {
        "proofPurpose": "authentication",
        "challenge": MATERIAL["challenge"],
        "domain": MATERIAL["audience"],
        "proofFormat": form,
    }
    return json.dumps(options)


def _present(form: str) -> str:
    issued = _issue(form)
    presentation = {
        "@context": ["https://www.w3.org/2018/credentials/v1"],
        "type": ["VerifiablePresentation"],
        "holder": MATERIAL["holder"],
        "verifiableCredential": issued if form == "jwt" else json.loads(issued),
    }
    options = json.loads(_asked(form)) | {"verificationMethod": _method(MATERIAL["holder"])}
    return _finished(didkit.issue_presentation, json.dumps(presentation), json.dumps(options), HOLDER)


def _verify(form: str) -> Callable[[], None]:
    shown = _present(form)
    credential = _issue(form)

    def verify() -> None:
        # Verifying a presentation leaves its credentials unverified.
        for call, text, options in (
            (didkit.verify_presentation, shown, _asked(form)),
            (didkit.verify_credential, credential, json.dumps({"proofFormat": form})),
        ):
            errors = json.loads(_finished(call, text, options))["errors"]
            if errors:
                raise ValueError(str(errors))

    return verify


serve(
    {
        "verify rdfc": _verify("ldp"),
        "verify jwt": _verify("jwt"),
        "issue rdfc": lambda: _issue("ldp"),
    }
)
