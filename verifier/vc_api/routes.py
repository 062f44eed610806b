"""Routes of the verifier's and the holder's VC-API, and DID resolution over HTTP (VCALM 0.9, 3.3 and 3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from did_agent.adapters.vc_answers import answering, created, read_body
from did_agent.adapters.web_input import plain_app
from did_agent.credential.problem import problem_details
from did_agent.credential.verification import CredentialVerdict, Finding, Policy
from did_agent.errors import InvalidParameter
from verifier.vc_api.holder import Holder
from verifier.vc_api.resolution import resolve_over_http
from verifier.vc_api.service import PresentationVerdict, Resolver, VCVerifier

FAILED: Final = 400  # VCDM's suites want it; `always200` asks for VCALM's 200 with `verified: false`
ALWAYS: Final = "always200"


def vc_api(  # noqa: C901  # one short handler per route
    service: VCVerifier, holder: Holder, resolver: Resolver, *, failure_status: int = FAILED
) -> FastAPI:
    """Return the VC-API as an app."""
    app = plain_app(title="did-agent VC-API")

    async def verify_credential(request: Request) -> Response:
        body = await read_body(request)
        secured = body.get("verifiableCredential")
        if not isinstance(secured, dict | str):
            raise InvalidParameter("verifiableCredential is neither an object nor a token")
        _require_no_text(secured)
        verdict = await service.verify_credential(secured, policy=_policy(request))
        return _answer(credential_result(verdict), _options(body), failure_status)

    async def verify_presentation(request: Request) -> Response:
        body = await read_body(request)
        options = _options(body)
        secured = body.get("verifiablePresentation")
        if not isinstance(secured, dict | str):
            # A presentation without proof shows nothing about who holds it.
            raise InvalidParameter("verifiablePresentation is neither an object nor a token")
        _require_no_text(secured)
        verdict = await service.verify_presentation(
            secured,
            challenge=_text(options, "challenge"),
            domains=_domains(options.get("domain")),
            policy=_policy(request),
        )
        return _answer(presentation_result(verdict), options, failure_status)

    async def challenge(_request: Request) -> Response:
        return JSONResponse({"challenge": service.create_challenge()})

    async def derive(request: Request) -> Response:
        body = await read_body(request)
        return created({"verifiableCredential": holder.derive(body.get("verifiableCredential"), _options(body))})

    async def present(request: Request) -> Response:
        body = await read_body(request)
        presented = holder.present(body.get("presentation"), _options(body))
        return created({"verifiablePresentation": presented})

    async def resolve(request: Request) -> Response:
        # The raw path: an encoded slash or `#` belongs to the DID URL, not to ours.
        encoded = request.scope["raw_path"].decode("ascii").partition("/1.0/identifiers/")[2]
        return await resolve_over_http(unquote(encoded), request, resolver)

    for method, path, handler in (
        ("POST", "/credentials/verify", verify_credential),
        ("POST", "/presentations/verify", verify_presentation),
        ("POST", "/challenges", challenge),
        ("POST", "/credentials/derive", derive),
        ("POST", "/presentations", present),
        ("POST", "/presentations/prove", present),
        ("GET", "/1.0/identifiers/{identifier:path}", resolve),
        ("GET", "/livez", _livez),
        ("GET", "/readyz", _livez),
    ):
        app.add_api_route(path, answering(handler), methods=[method])
    return app


def credential_result(verdict: CredentialVerdict) -> dict[str, Any]:
    """Return a verdict in the words of VCALM 0.9, 3.3.1; an expired or revoked credential is not verified."""
    results: dict[str, Any] = {}
    for finding in verdict.findings:
        if finding.step in ("proof", "credentialStatus", "credentialSchema"):
            results.setdefault(finding.step, []).append(_outcome(finding))
        elif finding.step in ("validFrom", "validUntil"):
            results[finding.step] = _outcome(finding)
    return {
        "verified": verdict.verified,
        "credential": verdict.document,
        "problemDetails": [problem_details(error) for error in verdict.errors],
        "results": results,
    }


def presentation_result(verdict: PresentationVerdict) -> dict[str, Any]:
    """Return a verdict in the words of VCALM 0.9, 3.4.1."""
    problems = [] if verdict.error is None else [problem_details(verdict.error)]
    listed = [credential_result(one) for one in verdict.credentials]
    return {
        "verified": verdict.verified,
        "verifiablePresentation": None if verdict.presentation is None else verdict.presentation.document,
        "holder": None if verdict.presentation is None else verdict.presentation.holder,
        "problemDetails": [*problems, *(problem for one in listed for problem in one["problemDetails"])],
        "credentialResults": listed,
    }


def _outcome(finding: Finding) -> dict[str, Any]:
    found: dict[str, Any] = {"verified": finding.error is None, "input": finding.input}
    return found if finding.error is None else {**found, "problemDetails": [problem_details(finding.error)]}


def _answer(result: Mapping[str, Any], options: Mapping[str, object], failure_status: int) -> Response:
    failed = 200 if options.get("httpStatus") == ALWAYS else failure_status
    return JSONResponse(dict(result), status_code=200 if result["verified"] else failed)


def _require_no_text(secured: object) -> None:
    # JSON inside a string is a second reading of the same bytes; what is secured is a map or a token (DI 1.0, 4.4).
    if isinstance(secured, str) and secured.lstrip().startswith("{"):
        raise InvalidParameter("a document inside a string")


def _policy(request: Request) -> Policy:
    # Never by the body alone: whoever sends a credential must not choose how it is judged.
    return "proof" if request.query_params.get("policy") == "proof" else "issuer"


def _options(body: Mapping[str, object]) -> Mapping[str, object]:
    options = body.get("options", {})
    if not isinstance(options, dict):
        raise InvalidParameter("options is not an object")
    return options


def _text(options: Mapping[str, object], name: str) -> str | None:
    value = options.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidParameter(f"{name} is not a string")
    return value


def _domains(value: object) -> frozenset[str] | None:
    if value is None:
        return None
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str) for name in listed):
        raise InvalidParameter("domain is neither a string nor a set of strings")
    return frozenset(listed)


async def _livez(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})
