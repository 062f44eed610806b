"""`/access/v1/evaluation` and `/access/v1/evaluations`: the bridge as policy decision point (OpenID AuthZEN 1.0).

What the bridge decides from is its own: `properties` a caller sends along are not read.  `context` is, and what is
unknown there is refused, because it might have been meant to say no.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from bridge.api.wire import oauth_request
from bridge.service.callers import Callers
from bridge.service.evaluation import AccessQuestion, Evaluations, Semantic
from did_agent.adapters.web_input import Parameters, read_json, request_id
from did_agent.errors import InvalidParameter, MissingParameter
from did_agent.policy.evaluation import Evaluation

WELL_KNOWN: Final = "/.well-known/authzen-configuration"
MAX_EVALUATIONS: Final = 32  # in one batch
_PUBLIC: Final = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=60"}

Text = Annotated[str, Field(min_length=1, max_length=2_048)]
Properties = Annotated[dict[str, Any] | None, Field(default=None)]


class SubjectBody(BaseModel):
    """On whose behalf: a person of this bridge, or an agent on its own."""

    model_config = ConfigDict(extra="forbid", strict=True)
    type: Literal["user", "agent"]
    id: Text
    properties: Properties


class ActionBody(BaseModel):
    """The tool."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: Text
    properties: Properties


class ResourceBody(BaseModel):
    """The protected resource, by its exact identifier."""

    model_config = ConfigDict(extra="forbid", strict=True)
    type: Text
    id: Text
    properties: Properties


class ContextBody(BaseModel):
    """Through whom, and what else rules may look at."""

    model_config = ConfigDict(extra="forbid", strict=True)
    agent: Text | None = None
    actors: list[Text] = Field(default_factory=list, max_length=8)
    client: Text | None = None
    task: Text | None = None
    risk: int | None = Field(default=None, ge=0, le=1_000_000)
    arguments: dict[str, Any] | None = None


class EvaluationBody(BaseModel):
    """`POST /access/v1/evaluation`, and one item of a batch."""

    model_config = ConfigDict(extra="forbid", strict=True)
    subject: SubjectBody | None = None
    action: ActionBody | None = None
    resource: ResourceBody | None = None
    context: ContextBody | None = None


class OptionsBody(BaseModel):
    """How a batch is answered."""

    model_config = ConfigDict(extra="forbid", strict=True)
    evaluations_semantic: Semantic = "execute_all"


class EvaluationsBody(EvaluationBody):
    """`POST /access/v1/evaluations`: what is said outside stands where an item says nothing."""

    evaluations: list[EvaluationBody] = Field(default_factory=list, max_length=MAX_EVALUATIONS)
    options: OptionsBody = Field(default_factory=OptionsBody)


def routes(evaluations: Evaluations, callers: Callers, *, issuer: str) -> tuple[APIRouter, APIRouter]:
    """Return the routes under the issuer's path, and the metadata at the root of its host."""
    under, root = APIRouter(), APIRouter()

    async def evaluation(request: Request) -> Response:
        by = await callers.admit(oauth_request(Parameters(), request))
        asked = _question(await read_json(request, EvaluationBody), None)
        (answer,) = await evaluations.evaluate([asked], semantic="execute_all", by=by, request_id=request_id(request))
        return JSONResponse(_answer(answer))

    async def batch(request: Request) -> Response:
        by = await callers.admit(oauth_request(Parameters(), request))
        body = await read_json(request, EvaluationsBody)
        semantic, spoken = body.options.evaluations_semantic, request_id(request)
        if not body.evaluations:
            (answer,) = await evaluations.evaluate([_question(body, None)], semantic=semantic, by=by, request_id=spoken)
            return JSONResponse(_answer(answer))
        asked = [_question(one, body) for one in body.evaluations]
        answers = await evaluations.evaluate(asked, semantic=semantic, by=by, request_id=spoken)
        return JSONResponse({"evaluations": [_answer(one) for one in answers]})

    async def metadata(_request: Request) -> Response:
        document = {
            "policy_decision_point": issuer,
            "access_evaluation_endpoint": f"{issuer}/access/v1/evaluation",
            "access_evaluations_endpoint": f"{issuer}/access/v1/evaluations",
        }
        return JSONResponse(document, headers=_PUBLIC)

    path = urlsplit(issuer).path
    under.add_api_route("/access/v1/evaluation", evaluation, methods=["POST"], response_model=None)
    under.add_api_route("/access/v1/evaluations", batch, methods=["POST"], response_model=None)
    root.add_api_route(WELL_KNOWN + path, metadata, methods=["GET"], response_model=None)
    return under, root


def _question(body: EvaluationBody, default: EvaluationBody | None) -> AccessQuestion:
    subject = body.subject or (default and default.subject)
    action = body.action or (default and default.action)
    resource = body.resource or (default and default.resource)
    context = body.context or (default and default.context) or ContextBody()
    if not subject or not action or not resource:
        raise MissingParameter("subject, action and resource are required")
    if subject.type == "agent" and context.agent not in (None, subject.id) and not context.actors:
        raise InvalidParameter("the subject is an agent, and context names another without the chain between them")
    is_user = subject.type == "user"
    return AccessQuestion(
        resource=resource.id,
        tool=action.name,
        user=subject.id if is_user else None,
        agent=context.agent if is_user else context.agent or subject.id,
        actors=tuple(context.actors),
        client=context.client or "",
        task=context.task,
        risk=context.risk,
        arguments=context.arguments,
    )


def _answer(answer: Evaluation) -> dict[str, object]:
    said = "This is allowed." if answer.allowed else "This is not allowed."
    context = {
        "reason": answer.reason,
        "reason_admin": {"en": answer.explanation},
        "reason_user": {"en": said},
        "answers": dict(answer.answers),
        "policy": answer.policy,
        "policy_digest": answer.digest,
        "rules": list(answer.rules),
    }
    return {"decision": answer.allowed, "context": context}
