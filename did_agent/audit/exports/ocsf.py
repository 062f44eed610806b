"""Rows as events of the Open Cybersecurity Schema Framework, version 1.3.0: class API Activity (6003).

The principal is the actor's user, the agent that acts is its application, and the rest of the chain, which the
schema has no word for, stands under `unmapped` with everything else that is ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from did_agent.encoding.timestamp import parse_timestamp

VERSION: Final = "1.3.0"
CATEGORY: Final = 6  # Application Activity
CLASS: Final = 6003  # API Activity

_CREATE, _READ, _UPDATE, _DELETE, _OTHER = 1, 2, 3, 4, 99
_VERBS: Final = {
    **dict.fromkeys(("add", "assign", "create", "give", "grant", "issue", "open", "publish", "register"), _CREATE),
    **dict.fromkeys(("list", "login", "read", "show", "verify"), _READ),
    **dict.fromkeys(("groups", "place", "put", "resume", "rotate", "suspend", "update"), _UPDATE),
    **dict.fromkeys(("delete", "erase", "remove", "retire", "revoke", "unassign", "withdraw"), _DELETE),
}
_ACTIVITIES: Final = {_CREATE: "Create", _READ: "Read", _UPDATE: "Update", _DELETE: "Delete"}
_USER_TYPES: Final = {"user": (1, "User")}
_OURS: Final = ("argument_digest", "policy", "credential_ids", "token_id", "evidence", "details")


def lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return one event a line."""
    return "".join(json.dumps(api_activity(row), ensure_ascii=False) + "\n" for row in rows)


def api_activity(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as one API Activity; times are milliseconds since the epoch."""
    event = row["event"]
    allowed = event["decision"] == "allow"
    activity = _VERBS.get(str(event["action"]).rpartition(".")[2], _OTHER)
    time = parse_timestamp(event["time"])
    return _said(
        {
            "category_uid": CATEGORY,
            "category_name": "Application Activity",
            "class_uid": CLASS,
            "class_name": "API Activity",
            "activity_id": activity,
            "activity_name": _ACTIVITIES.get(activity, event["action"]),
            "type_uid": CLASS * 100 + activity,
            "time": int(time.timestamp()) * 1_000 + time.microsecond // 1_000,
            "severity_id": 1 if allowed else 2,
            "severity": "Informational" if allowed else "Low",
            "status_id": 1 if allowed else 2,
            "status": "Success" if allowed else "Failure",
            "status_code": event["reason"],
            "status_detail": event["explanation"],
            "actor": _actor(event),
            "api": {
                "operation": event["action"],
                "request": _said({"uid": event["request_id"]}),
                "service": {"name": event["party"], "uid": event["source"]},
            },
            "src_endpoint": {"name": event["client_id"] or "unknown"},
            "resources": _resources(event),
            "metadata": _said(
                {
                    "version": VERSION,
                    "product": {"name": "did-agent", "vendor_name": "did-agent"},
                    "uid": event["id"],
                    "correlation_uid": event["details"].get("trace_id") or event["request_id"],
                    "sequence": row["seq"],
                }
            ),
            "unmapped": {
                "leaf": row["leaf"],
                "actors": event["actors"],
                "principal_kind": event["principal_kind"],
                **{name: event[name] for name in _OURS},
            },
        }
    )


def _actor(event: Mapping[str, Any]) -> dict[str, Any]:
    actors, kind = event["actors"], event["principal_kind"]
    number, name = _USER_TYPES.get(kind or "", (99 if kind else 0, kind or "Unknown"))
    user = {"uid": event["principal"], "type_id": number, "type": name} if event["principal"] else None
    application = actors[0] if actors else event["client_id"]
    actor = _said({"user": user, "app_uid": application})
    return actor or {"app_name": event["party"]}


def _resources(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    one = _said({"uid": event["resource"], "name": event["target"]})
    return [one] if one else []


def _said(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, {}, [])}
