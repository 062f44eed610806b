"""The command line that the VC-JOSE-COSE suite calls, over `did_agent.proof.vc_jose` and `did_agent.proof.sd_jwt`.

    jose_cli.py issue|verify --input FILE --key FILE --feature FEATURE [--sd PATHS] --output FILE

Answers `{"result": "success" | "failure" | "indeterminate", "data": …}`.  Three things are the suite's and not ours:

* Keys are handed over and named by thumbprints, not by DID URLs; so the key is taken from the file, and the checks of
  the library that follow the signature are called one by one.
* `iat` is text in most fixtures, where RFC 7519 (4.1.6) wants a number; it is read as the moment it names.
* Some fixtures expired in December 2024; the clock stands at the moment of `iat`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from did_agent.credential import vcdm
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import BadKey, DidAgentError, WrongKey, WrongType
from did_agent.keys.jwk import parse_private_jwk, parse_public_jwk
from did_agent.proof import sd_jwt, vc_jose
from did_agent.proof.disclosure import reveal
from did_agent.proof.jose import verify_signature
from did_agent.proof.jwt import unverified_jws
from did_agent.proof.vc_jose import MAX_SECURED, Envelope

TYPES: Mapping[str, str] = {
    "credential_jose": "vc+jwt",
    "presentation_jose": "vp+jwt",
    "credential_sdjwt": "vc+sd-jwt",
    "presentation_sdjwt": "vp+sd-jwt",
}
ENVELOPES: Mapping[str, Envelope] = {"vc": "vc+jwt", "vp": "vp+jwt"}


def issue(document: dict[str, Any], method: Mapping[str, Any], typ: str, hidden: Sequence[str]) -> str:
    """Return the secured document; `hidden` are its selectively disclosable places."""
    content = typ.partition("+")[0]
    require_model(document, content)
    key = parse_private_jwk(without_hints(method["secretKeyJwk"]))
    if typ.endswith("sd-jwt"):
        return sd_jwt.issue_sd_jwt(document, disclosable=hidden, key=key, typ=typ, kid=method["id"])
    return vc_jose.secure(document, key, envelope=ENVELOPES[content], verification_method=method["id"])


def verify(text: str, method: Mapping[str, Any], typ: str) -> dict[str, Any]:
    """Return what was secured.

    Raises: DidAgentError.
    """
    content = typ.partition("+")[0]
    selective = sd_jwt.parse_sd_jwt(text) if typ.endswith("sd-jwt") else None
    jws, payload = unverified_jws(selective.issued if selective else text, max_bytes=MAX_SECURED)
    if jws.type != typ or jws.header.get("cty", content) != content:
        raise WrongType(f"typ or cty is not of {typ}")
    if jws.header.get("kid") not in (method["id"], method["publicKeyJwk"].get("kid")):
        raise WrongKey("kid names another key")
    verify_signature(jws, parse_public_jwk(without_hints(method["publicKeyJwk"])))
    shown = reveal(payload, selective.disclosures).claims if selective else payload
    issued = moment(shown.get("iat"))
    claims = dict(shown) if issued is None else {**shown, "iat": int(issued.timestamp())}
    vc_jose._require_document(claims)
    vc_jose._require_agreement(jws.header, claims, "issuer" if content == "vc" else "holder")
    vc_jose.require_current(claims, issued or datetime.now(UTC))
    document = {name: value for name, value in claims.items() if name not in vc_jose._CLAIMS}
    require_model(document, content)
    return document


def pointer(path: str) -> str:
    """Return the JSON Pointer of a path such as `credentialSubject.phones[0]`."""
    return "/" + path.replace("[", "/").replace("]", "").replace(".", "/")


def require_model(document: dict[str, Any], content: str) -> None:
    """A secured document is still one of VC Data Model 2.0."""
    if content == "vc":
        vcdm.require_credential(document)
    else:
        vcdm.require_presentation(document)


def without_hints(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """Return the key alone; `alg` and `kid` beside it say nothing that the key does not say."""
    return {name: value for name, value in jwk.items() if name not in ("alg", "kid")}


def moment(value: object) -> datetime | None:
    """Return the moment of an `iat`, number or text."""
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int) else None


def answer(arguments: argparse.Namespace) -> tuple[str, str]:
    """Return the result and the secured document, or why there is none."""
    typ = TYPES.get(arguments.feature)
    if typ is None:
        return "indeterminate", f"{arguments.feature} is not supported"
    method = json.loads(arguments.key.read_bytes())
    try:
        if arguments.verb == "verify":
            return "success", json.dumps(verify(arguments.input.read_text(encoding="utf-8").strip(), method, typ))
        hidden = [pointer(path) for path in json.loads(arguments.sd or "[]")]
        return "success", issue(parse_object(arguments.input.read_bytes()), method, typ, hidden)
    except BadKey as error:
        return "indeterminate", f"{error.code}: {error}"
    except DidAgentError as error:
        return "failure", f"{error.code}: {error}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("issue", "verify"))
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--feature", required=True)
    parser.add_argument("--sd", help="JSON list of paths to disclose selectively")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    result, data = answer(arguments)
    arguments.output.write_text(json.dumps({"result": result, "data": data}), encoding="utf-8")


if __name__ == "__main__":
    main()
