"""Tasks: what authority was given for, by an id that is one of its kind at its bridge and ends with the task."""

from __future__ import annotations

import re
from typing import Final

from did_agent.encoding import base64url
from did_agent.encoding.digest import sha256
from did_agent.encoding.jcs import canonicalize

PREFIX: Final = "urn:did-agent:task:"
MAX_NAME: Final = 128  # characters a client may call its task
_NAME: Final = re.compile(rf"[A-Za-z0-9._~-]{{1,{MAX_NAME}}}")
_ID: Final = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_-]{43}")


def is_task_name(text: str) -> bool:
    """Tell whether a client may call its task so."""
    return _NAME.fullmatch(text) is not None


def is_task_id(text: str) -> bool:
    """Tell whether this has the form of an id that a bridge gives."""
    return _ID.fullmatch(text) is not None


def task_id(name: str, *, issuer: str, principal: str, principal_kind: str, client: str) -> str:
    """Return the id of the task that `client` calls `name`, on behalf of `principal`.

    The same three give the same task again; nobody else's words can ever give it, so nobody can take or end it, and a
    resource learns from it neither the name nor whose it is (DEL-05).
    """
    content = {"issuer": issuer, "kind": principal_kind, "principal": principal, "client": client, "task": name}
    return PREFIX + base64url.encode(sha256(canonicalize(content)))
