"""What a party's refusal looks like to its client."""

from __future__ import annotations

from typing import Any

import httpx2

from did_agent.encoding.strict_json import parse_object
from did_agent.errors import Denied, DidAgentError, Malformed, PeerUnavailable


class ServerRefused(Denied):
    """A party answered, and the answer is no; `status` and `server_code` are its own."""

    code = "server_refused"
    public = "The server refused the request."

    def __init__(self, status: int, server_code: str, detail: str, request_id: str | None) -> None:
        super().__init__(f"{server_code}: {detail}" + (f" (request {request_id})" if request_id else ""))
        self.status, self.server_code, self.request_id = status, server_code, request_id


def members_of(response: httpx2.Response) -> dict[str, Any]:
    """Return the members of a successful answer.

    Raises: ServerRefused for a refusal, PeerUnavailable for anything that is no answer.
    """
    try:
        members = parse_object(response.content, max_bytes=1_048_576) if response.content else {}
    except Malformed as error:
        raise PeerUnavailable(f"{response.url} answered {response.status_code} without JSON") from error
    if response.is_success:
        return members
    raise refusal(response, members)


def refusal(response: httpx2.Response, members: dict[str, Any]) -> DidAgentError:
    """Return the error that a refused answer stands for."""
    if response.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:
        return PeerUnavailable(f"{response.url.host} answered {response.status_code}")
    code = str(members.get("error") or members.get("code") or response.status_code)
    detail = str(members.get("error_description") or members.get("detail") or members.get("title") or "")
    return ServerRefused(response.status_code, code, detail, response.headers.get("x-request-id"))
