"""Rules that take rights away while an agent runs: after a tool ran, on a risk signal, outside working hours.

They only ever remove (POL-03): what no rule speaks of is decided elsewhere, and no rule gives anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from did_agent.credential import closed
from did_agent.encoding.digest import digest_uri
from did_agent.encoding.jcs import canonicalize
from did_agent.errors import BadPolicy
from did_agent.policy.caller import VerifiedCaller

Within = Literal["task", "principal", "agent"]

EVERY_TOOL: Final = "*"
WITHINS: Final[tuple[Within, ...]] = ("task", "principal", "agent")
MAX_DESCOPING: Final = 64  # rules of one policy
MAX_TOOLS: Final = 256  # tools one rule names
MAX_SECONDS: Final = 31 * 86_400  # a mark is kept at most
MAX_RISK: Final = 100

_TOOL: Final = re.compile(r"[!-~]{1,128}")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,80}")
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_TRIGGERS: Final = ("after", "risk_at_least", "outside")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When work is done: from one time of the day to another, on some days of the week, in one time zone."""

    start: time
    end: time  # not included; before `start` it is on the next day
    days: frozenset[int]  # 1 is Monday; of hours over midnight the day they begin on
    timezone: str

    def hold(self, now: datetime) -> bool:
        """Tell whether `now` is within them."""
        local = now.astimezone(ZoneInfo(self.timezone))
        at, today = local.time(), local.isoweekday()
        if self.start < self.end:
            return today in self.days and self.start <= at < self.end
        yesterday = today - 1 or 7
        return (today in self.days and at >= self.start) or (yesterday in self.days and at < self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescopingRule:
    """What takes which tools away."""

    name: str
    remove: frozenset[str]  # tools, or EVERY_TOOL
    after: frozenset[str] = frozenset()  # tools; from a call of one of them on
    seconds: int = 0  # that it lasts, after such a call
    within: Within = "agent"  # whose calls count, and for whom
    risk_at_least: int | None = None
    outside: Hours | None = None

    def removes(self, tool: str) -> bool:
        """Tell whether the rule takes `tool` away, when it holds."""
        return tool in self.remove or EVERY_TOOL in self.remove

    def to_json(self) -> dict[str, object]:
        """Return the wire object."""
        found: dict[str, object] = {"name": self.name, "remove": sorted(self.remove)}
        if self.after:
            found |= {"after": sorted(self.after), "for_seconds": self.seconds, "within": self.within}
        if self.risk_at_least is not None:
            found["risk_at_least"] = self.risk_at_least
        if self.outside is not None:
            hours = self.outside
            found["outside"] = {
                "from": f"{hours.start:%H:%M}",
                "to": f"{hours.end:%H:%M}",
                "days": sorted(hours.days),
                "timezone": hours.timezone,
            }
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """That a rule holds somewhere, and until when."""

    key: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one call meets."""

    refused: tuple[DescopingRule, ...]  # that hold whatever was called before
    looked: Mapping[str, DescopingRule]  # marks that would refuse the call, by key
    marks: tuple[Mark, ...]  # that the call makes, if it is allowed


def judge(rules: Sequence[DescopingRule], caller: VerifiedCaller, tool: str, *, now: datetime, risk: int) -> Plan:
    """Return what the rules say of a call of `tool`; `risk` is the highest of anybody involved."""
    against = [rule for rule in rules if rule.removes(tool)]
    looked = {key: rule for rule in against if rule.after for key in _keys(rule, caller)}
    marks = [
        Mark(key=key, until=now + timedelta(seconds=rule.seconds))
        for rule in rules
        if tool in rule.after
        for key in _keys(rule, caller)
    ]
    return Plan(
        refused=tuple(rule for rule in against if _holds(rule, now=now, risk=risk)),
        looked=looked,
        marks=tuple(sorted(marks, key=lambda mark: mark.key)),
    )


def in_words(rule: DescopingRule, tool: str) -> str:
    """Return why a rule refuses a tool, as agents and operators read it."""
    if rule.after:
        why = f"{' or '.join(sorted(rule.after))} was called within the last {rule.seconds} seconds"
    elif rule.risk_at_least is not None:
        why = "somebody involved is signalled as a risk"
    else:
        why = "it is outside the hours in which this is allowed"
    return f"the rule {rule.name} takes {tool} away: {why}"


def parse_rules(value: object) -> tuple[DescopingRule, ...]:
    """Return the rules a JSON array states.

    Raises: BadPolicy naming the place.
    """
    rules = tuple(_rule(item) for item in closed.array(value, "descoping", most=MAX_DESCOPING, error=BadPolicy))
    if len({rule.name for rule in rules}) != len(rules):
        raise BadPolicy("descoping: two rules have one name")
    return rules


def _holds(rule: DescopingRule, *, now: datetime, risk: int) -> bool:
    if rule.risk_at_least is not None:
        return risk >= rule.risk_at_least
    return rule.outside is not None and not rule.outside.hold(now)


def _keys(rule: DescopingRule, caller: VerifiedCaller) -> tuple[str, ...]:
    """Return the keys of a rule's marks for a caller; a name of a rule, never who it is about, can be read from none.

    Within `agent` everybody who acts is meant: what a helper read, whoever sent it knows too.  Where there is no task,
    the agents' work for this principal counts as one.
    """
    principal = caller.principal
    who: dict[str, object] = {"kind": principal.kind, "id": principal.id, "namespace": principal.namespace}
    if rule.within == "principal":
        scopes: list[object] = [{"principal": who}]
    elif rule.within == "task":
        agents = {"principal": who, "client": caller.actors[-1] if caller.actors else caller.agent}
        scopes = [{"task": caller.task} if caller.task is not None else agents]
    else:
        own = () if principal.kind == "user" and caller.actors else (caller.agent, principal.id)
        scopes = [{"agent": name} for name in dict.fromkeys((*caller.actors, *own))]
    return tuple(digest_uri(canonicalize({"rule": rule.name, "within": scope})) for scope in scopes)


def _rule(value: object) -> DescopingRule:
    optional = frozenset({*_TRIGGERS, "for_seconds", "within"})
    required = frozenset({"name", "remove"})
    entry = closed.members(value, "descoping", required=required, optional=optional, error=BadPolicy)
    name = entry["name"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadPolicy("descoping: a name is 1 to 80 letters, digits or any of . _ -")
    where = f"descoping.{name}"
    triggers = [trigger for trigger in _TRIGGERS if trigger in entry]
    if len(triggers) != 1:
        raise BadPolicy(f"{where} has exactly one of {', '.join(_TRIGGERS)}")
    if ("for_seconds" in entry) != ("after" in entry) or ("within" in entry and "after" not in entry):
        raise BadPolicy(f"{where}: for_seconds is said with after, and within with it alone")
    within = entry.get("within", "agent")
    if within not in WITHINS:
        raise BadPolicy(f"{where}: within is one of {', '.join(WITHINS)}")
    return DescopingRule(
        name=name,
        remove=_tools(entry["remove"], f"{where}.remove", every=True),
        after=_tools(entry["after"], f"{where}.after", every=False) if "after" in entry else frozenset(),
        seconds=_whole(entry["for_seconds"], f"{where}.for_seconds", MAX_SECONDS) if "after" in entry else 0,
        within=within,
        risk_at_least=_whole(entry["risk_at_least"], f"{where}.risk_at_least", MAX_RISK)
        if "risk_at_least" in entry
        else None,
        outside=_hours(entry["outside"], f"{where}.outside") if "outside" in entry else None,
    )


def _whole(value: object, where: str, most: int) -> int:
    return closed.whole(value, where, least=1, most=most, error=BadPolicy)


def _tools(value: object, where: str, *, every: bool) -> frozenset[str]:
    listed = closed.array(value, where, least=1, most=MAX_TOOLS, error=BadPolicy)
    for one in listed:
        if not isinstance(one, str) or not _TOOL.fullmatch(one) or (one == EVERY_TOOL and not every):
            raise BadPolicy(f"{where}: a tool is 1 to 128 visible ASCII characters")
    return frozenset(map(str, listed))


def _hours(value: object, where: str) -> Hours:
    names = frozenset({"from", "to", "days", "timezone"})
    entry = closed.members(value, where, required=names, error=BadPolicy)
    days = closed.array(entry["days"], f"{where}.days", least=1, most=7, error=BadPolicy)
    start, end = (_clock(entry[name], f"{where}.{name}") for name in ("from", "to"))
    if start == end:
        raise BadPolicy(f"{where}: from and to are the same time")
    zone = closed.text(entry["timezone"], f"{where}.timezone", max_chars=64, error=BadPolicy)
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadPolicy(f"{where}: the time zone is not known here") from error
    return Hours(
        start=start,
        end=end,
        days=frozenset(closed.whole(day, f"{where}.days", least=1, most=7, error=BadPolicy) for day in days),
        timezone=zone,
    )


def _clock(value: object, where: str) -> time:
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise BadPolicy(f"{where} is no time of the day, such as 08:00")
    return time.fromisoformat(value)
