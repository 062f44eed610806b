"""What may be said of an agent, judged on the whole of what results and not on the change (WEB-03, WEB-04, WEB-08)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any, Final

from did_agent.errors import InsufficientScope, InvalidParameter, StateConflict
from issuer.model import Agent, Operator
from issuer.model.registry import Description
from issuer.naming import require_name, require_redirect, require_text

MAX_LABELS: Final = 16  # tags, or groups, of one agent
MAX_METADATA: Final = 16
MAX_URIS: Final = 8
MAX_WORDS: Final = 24  # of one agent that it is found by
MAX_WORD: Final = 48  # characters
_LABEL: Final = re.compile(r"[a-z0-9][a-z0-9._:-]{0,63}")
_WORD: Final = re.compile(r"\w+")
# What a sponsor, who has its own agents alone, does not say of them: who answers, and who is dealt with together.
_OF_MANAGERS: Final = ("sponsor", "groups")


def require_label(kind: str, text: str) -> str:
    """Return the name of a tag, a group or a template.

    Raises: InvalidParameter.
    """
    if not _LABEL.fullmatch(text):
        raise InvalidParameter(f"{kind}: small letters, digits and . _ : -, at most 64, a letter or digit first")
    return text


def require_agent(agent: Agent) -> Agent:
    """Return an agent whose whole description is fit to be kept.

    Raises: InvalidParameter.
    """
    require_name(agent.name)
    if not agent.sponsor.strip():
        raise InvalidParameter("sponsor: somebody must answer for an agent")
    for label, text in (("sponsor", agent.sponsor), ("owner", agent.owner), ("description", agent.description)):
        require_text(label, text)
    if len(agent.metadata) > MAX_METADATA:
        raise InvalidParameter(f"metadata: at most {MAX_METADATA} entries")
    for text in (*agent.metadata.keys(), *agent.metadata.values()):
        require_text("metadata", text)
    if len(agent.redirect_uris) > MAX_URIS:
        raise InvalidParameter(f"redirect_uris: at most {MAX_URIS}")
    for uri in agent.redirect_uris:
        require_redirect(uri)
    _require_labels("tags", agent.tags)
    _require_labels("groups", agent.groups)
    return agent


def require_placed(agent: Agent, *, by: Operator) -> Agent:
    """Return a new agent if who registers it may put it into its groups.

    Raises: InsufficientScope.
    """
    if agent.groups and by.roles <= {"sponsor"}:
        raise InsufficientScope("issuer:manage is needed to say groups")
    return agent


def described(agent: Agent, said: Description, *, by: Operator) -> Agent:
    """Return the agent as it will be.

    Raises: StateConflict for one that is retired, InsufficientScope for what is not the asker's to say,
    InvalidParameter for a result that may not be.
    """
    if agent.state == "retired":
        raise StateConflict(f"{agent.name} is retired; nothing is said of it any more")
    given = {field.name: getattr(said, field.name) for field in fields(said)}
    changes: dict[str, Any] = {
        name: tuple(sorted(set(value))) if name in ("tags", "groups") else _kept(value)
        for name, value in given.items()
        if value is not None
    }
    result = replace(agent, **changes)
    if by.roles <= {"sponsor"}:
        for name in _OF_MANAGERS:
            if getattr(result, name) != getattr(agent, name):
                raise InsufficientScope(f"issuer:manage is needed to change {name}")
    return require_agent(result)


def words_of(agent: Agent) -> frozenset[str]:
    """Return the words an agent is found by."""
    found = words_in(f"{agent.name} {agent.description} {agent.sponsor}")
    return frozenset(found[:MAX_WORDS])


def words_in(text: str) -> Sequence[str]:
    """Return the words of a text as they are compared, each once, in their order."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    words: Iterable[str] = (part for word in _WORD.findall(plain) for part in word.split("_") if part)
    return list(dict.fromkeys(word[:MAX_WORD] for word in words))


def _kept(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _require_labels(kind: str, labels: Sequence[str]) -> None:
    if len(labels) > MAX_LABELS or len(set(labels)) != len(labels):
        raise InvalidParameter(f"{kind}: at most {MAX_LABELS}, each once")
    for label in labels:
        require_label(kind, label)
