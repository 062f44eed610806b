"""What was measured of the token endpoint, in words and as JSON, with what was promised of it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from token_load import Outcome

KINDS: Final = {
    "cc": "client_credentials, private_key_jwt",
    "vp": "presentation of one credential",
    "chain": "presentation of three hops",
}
CHALLENGE: Final = "challenge"
LOAD: Final = 0.7  # of the measured most, for the latencies
LATENCY: Final = 25.0  # ms, p99 of one credential at that load
IDLE: Final = 120.0  # MB
CORES_OF_WORKERS: Final = 4  # two workers, the load with the other parties, the database
# ours, the other, the least ratio per CPU second
RATIOS: Final = (
    ("bridge cc", "oidc-provider cc", 2.5),
    ("bridge cc", "authlib cc", 2.8),
    ("bridge vp", "oidc-provider cc", 1.3),
)
RATES: Final = (("bridge vp", 480.0), ("bridge chain", 300.0))  # a second of one core

Results = dict[str, list[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Something that was promised, and what came of it; `upper` is the most, otherwise the least."""

    what: str
    value: float
    bound: float
    upper: bool = False
    judged: str = ""  # why it cannot be judged here

    @property
    def verdict(self) -> str:
        """Whether it was kept."""
        if self.judged:
            return f"not judged: {self.judged}"
        return "met" if (self.value <= self.bound if self.upper else self.value >= self.bound) else "MISSED"


def report(
    results: Results,
    at_load: Mapping[str, Outcome],
    memory: Mapping[str, float],
    scenarios: Mapping[str, Mapping[str, Any]],
    missing: Mapping[str, str],
    *,
    database: str,
) -> dict[str, Any]:
    """Print everything; return it for a file."""
    measured = {name: _summary(outcomes) for name, outcomes in results.items()}
    promises = [*_of_speed(measured), *_of_load(at_load, memory), *_of_scenarios(scenarios)]
    _print(measured, at_load, memory, database)
    for name, found in scenarios.items():
        print(f"\n{name}")
        for what, value in found.items():
            print(f"  {what:58}{value:12,.2f}")
    print(f"\n{'promised':60}{'measured':>10}")
    for one in promises:
        print(f"{one.what:60}{one.value:10,.2f}   {'<=' if one.upper else '>='} {one.bound:<7g}{one.verdict}")
    for name, reason in missing.items():
        print(f"{name}: not part of this run: {reason}")
    return {
        "machine": {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()},
        "database": database,
        "measured": measured,
        "at_load_ms": {kind: _percentiles(one) for kind, one in at_load.items()},
        "memory_mb": dict(memory),
        "scenarios": {name: dict(found) for name, found in scenarios.items()},
        "promises": [asdict(one) | {"verdict": one.verdict} for one in promises],
        "missing": dict(missing),
    }


def _summary(outcomes: Sequence[Outcome]) -> dict[str, float]:
    return {
        "per_cpu_second": median(one.per_cpu_second for one in outcomes),
        "per_cpu_second_least": min(one.per_cpu_second for one in outcomes),
        "per_cpu_second_most": max(one.per_cpu_second for one in outcomes),
        "cpu_us_until_answered": median(one.cpu / one.requests * 1e6 for one in outcomes),
        "cpu_us_after": median(one.after / one.requests * 1e6 for one in outcomes),
        "per_second": median(one.per_second for one in outcomes),
        "p50_ms": median(one.percentile(0.5) for one in outcomes),
        "p99_ms": median(one.percentile(0.99) for one in outcomes),
    }


def _percentiles(outcome: Outcome) -> dict[str, float]:
    return {"rate": outcome.per_second, "p50": outcome.percentile(0.5), "p99": outcome.percentile(0.99)}


def _of_speed(measured: Mapping[str, Mapping[str, float]]) -> list[Promise]:
    found = [
        Promise(
            what=f"{ours} / {other}, a CPU second",
            value=measured[ours]["per_cpu_second"] / measured[other]["per_cpu_second"],
            bound=least,
        )
        for ours, other, least in RATIOS
        if ours in measured and other in measured
    ]
    for name, least in RATES:
        for clock, words in (("per_cpu_second", "a CPU second"), ("per_second", "a second by the wall")):
            if name in measured:
                found.append(Promise(what=f"{name}, {words}", value=measured[name][clock], bound=least))
    return found


def _of_load(at_load: Mapping[str, Outcome], memory: Mapping[str, float]) -> list[Promise]:
    found = [Promise(what="resident memory idle, MB", value=memory["idle"], bound=IDLE, upper=True)]
    if "vp" in at_load:
        latency = at_load["vp"].percentile(0.99)
        found.append(Promise(what=f"p99 of vp at {LOAD:.0%} load, ms", value=latency, bound=LATENCY, upper=True))
    return found


def _of_scenarios(scenarios: Mapping[str, Mapping[str, Any]]) -> list[Promise]:
    found: list[Promise] = []
    if "registered" in scenarios:
        ratio = scenarios["registered"]["ratio of p50"]
        found.append(Promise(what="p50 of cc, many / 1,000 registered", value=ratio, bound=1.2, upper=True))
    if "logins" in scenarios:
        ratio = scenarios["logins"]["ratio of p99"]
        found.append(Promise(what="p99 of cc, with logins / without", value=ratio, bound=2.0, upper=True))
    if "workers" in scenarios:
        cores = os.cpu_count() or 1
        few = f"{cores} cores for two workers, database and load" if cores < CORES_OF_WORKERS else ""
        ratio = scenarios["workers"]["ratio by the wall"]
        found.append(Promise(what="cc a second, two workers / one", value=ratio, bound=1.8, judged=few))
    return found


def _print(
    measured: Mapping[str, Mapping[str, float]],
    at_load: Mapping[str, Outcome],
    memory: Mapping[str, float],
    database: str,
) -> None:
    print(f"the bridge on {database}; CPU us are until the answer, and after it")
    print(f"{'':50}{'a CPU second':>13}{'CPU us':>8}{'after':>7}{'a second':>10}{'p50 ms':>8}{'p99 ms':>8}")
    for name, one in measured.items():
        server, _, kind = name.rpartition(" ")
        print(
            f"{f'{server}: {KINDS.get(kind, kind)}':50}{one['per_cpu_second']:13,.0f}"
            f"{one['cpu_us_until_answered']:8,.0f}{one['cpu_us_after']:7,.0f}{one['per_second']:10,.0f}"
            f"{one['p50_ms']:8.2f}{one['p99_ms']:8.2f}"
        )
    print(f"\nlatency at {LOAD:.0%} of the most, open loop")
    for kind, outcome in at_load.items():
        words = f"p50 {outcome.percentile(0.5):6.2f} ms   p99 {outcome.percentile(0.99):6.2f} ms"
        print(f"{KINDS[kind]:50}{words}   at {outcome.per_second:,.0f} a second")
    print(f"\nresident memory: {memory['idle']:.0f} MB idle, {memory['after']:.0f} MB after the load")
