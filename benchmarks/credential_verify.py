"""Verification and issuing of credentials, in one run with a floor of bare signatures and with peers.

python benchmarks/credential_verify.py [--rounds N] [--warm-up N] [--no-peers] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from installed import NotInstallableError, Peer, peers
from material import HOPS, Material, make
from ours import Measure, measures
from timing import timed

from did_agent.clock import system_clock

TIMES: Final = 60  # of our measures in one round
PEER_TIMES: Final = 10
WARM_UP: Final = 400  # of each peer, before the first round: just-in-time compilers need it

Samples = dict[str, list[Mapping[str, float]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A ratio we promise: `upper` as the most, otherwise the least."""

    measure: str
    against: str
    ratio: float
    upper: bool


def _floor(measure: str, floor: str, ratio: float) -> Target:
    return Target(measure=measure, against=f"floor {floor}", ratio=ratio, upper=True)


def _faster(measure: str, peer: str, ratio: float) -> Target:
    return Target(measure=measure, against=peer, ratio=ratio, upper=False)


SEEN: Final = "verify rdfc, shape seen"
FIRST: Final = "verify rdfc, shape first seen"
TARGETS: Final = (
    _floor("verify jcs", "jcs", 1.9),
    _floor("verify vp+jwt", "vp+jwt", 1.7),
    _floor(SEEN, "rdfc", 3),
    _floor(FIRST, "rdfc", 4.2),
    _floor("known jcs", "jcs", 1.2),
    _floor("known rdfc", "rdfc", 1.6),
    _faster("verify jcs", "digitalbazaar: verify jcs", 3),
    _faster(SEEN, "digitalbazaar: verify rdfc", 24),
    _faster(FIRST, "digitalbazaar: verify rdfc", 17),
    _faster(SEEN, "didkit: verify rdfc", 24),
    _faster(FIRST, "didkit: verify rdfc", 17),
    _faster("verify vp+jwt of vc+jwt", "credo: verify jwt", 8),
    _faster("verify vp+jwt of vc+jwt", "did_jwt_vc: verify jwt", 25),
    _faster("issue jcs", "digitalbazaar: issue jcs", 4),
    _faster("issue rdfc", "digitalbazaar: issue rdfc", 30),
    _faster(f"chain of {HOPS}", "aip: chain", 2),
    # No promise, for comparison.
    _faster("verify vp+jwt of vc+jwt", "didkit: verify jwt", 0),
    _faster("verify jcs", "vouch: verify jcs", 0),
    _faster("issue jcs", "vouch: issue jcs", 0),
    _faster("issue rdfc", "didkit: issue rdfc", 0),
)
MAX_CHAIN: Final = 1_000.0  # microseconds of a chain, cold


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--warm-up", type=int, default=WARM_UP)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    material = make(system_clock())
    with peers(material.for_peers(), wanted=not chosen.no_peers) as (running, missing):
        samples = _measure(material, running, missing, chosen.rounds, chosen.warm_up)
    medians = {
        name: {clock: round(median(sample[clock] for sample in taken), 1) for clock in ("wall", "cpu")}
        for name, taken in samples.items()
    }
    rows = [_row(target, medians) for target in TARGETS if target.against in medians]
    _print(medians, rows, missing)
    if chosen.json is not None:
        report = {"machine": _machine(), "microseconds": medians, "ratios": rows, "missing": missing}
        chosen.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


def _measure(
    material: Material, running: dict[str, Peer], missing: dict[str, str], rounds: int, warm_up: int
) -> Samples:
    """Take turns: in each round everyone is asked once, so that a busy moment of the machine meets all alike."""
    ours = measures(material)
    samples: Samples = {measure.name: [] for measure in ours}
    _ask(running, missing, warm_up)
    for measure in ours:
        _time(measure, TIMES)
    for number in range(rounds):
        print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
        for measure in ours:
            samples[measure.name].append(_time(measure, TIMES))
        for what, taken in _ask(running, missing, PEER_TIMES).items():
            samples.setdefault(what, []).append(taken)
    print(file=sys.stderr)
    return samples


def _ask(running: dict[str, Peer], missing: dict[str, str], times: int) -> dict[str, Mapping[str, float]]:
    answers: dict[str, Mapping[str, float]] = {}
    for name in list(running):
        try:
            taken = running[name].ask(times)
        except NotInstallableError as error:
            missing[name] = str(error)
            del running[name]
        else:
            answers |= {f"{name}: {what}": value for what, value in taken.items()}
    return answers


def _time(measure: Measure, times: int) -> Mapping[str, float]:
    taken = timed(measure.work, times, measure.before)
    return {"wall": taken["wall"], "cpu": taken["cpu"]}


def _row(target: Target, medians: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    ours, other = medians[target.measure], medians[target.against]
    ratios = {clock: (ours[clock] / other[clock] if target.upper else other[clock] / ours[clock]) for clock in ours}
    met = ratios["wall"] <= target.ratio if target.upper else ratios["wall"] >= target.ratio
    return asdict(target) | {"wall": round(ratios["wall"], 2), "per core": round(ratios["cpu"], 2), "met": met}


def _print(
    medians: Mapping[str, Mapping[str, float]], rows: Sequence[Mapping[str, Any]], missing: Mapping[str, str]
) -> None:
    print(f"{'microseconds':48} {'wall':>9} {'cpu':>9}")
    for name, taken in medians.items():
        print(f"{name:48} {taken['wall']:9,.0f} {taken['cpu']:9,.0f}")
    print(f"\n{'ratio':60} {'wall':>7} {'a core':>7}   target")
    for row in rows:
        what = f"{row['measure']} / {row['against']}" if row["upper"] else f"{row['against']} / {row['measure']}"
        sign = "<=" if row["upper"] else ">="
        target = f"{sign} {row['ratio']:<5} {'met' if row['met'] else 'MISSED'}" if row["ratio"] else "-"
        print(f"{what:60} {row['wall']:7.2f} {row['per core']:7.2f}   {target}")
    chain = medians[f"chain of {HOPS}"]["wall"]
    verdict = "met" if chain <= MAX_CHAIN else "MISSED"
    print(f"{f'chain of {HOPS}, cold, in microseconds':60} {chain:7.0f} {'':7}   <= {MAX_CHAIN:.0f}  {verdict}")
    for name, reason in missing.items():
        print(f"{name}: not installable here: {reason}")


def _machine() -> dict[str, str]:
    return {"python": platform.python_version(), "system": platform.platform(), "processor": platform.machine()}


if __name__ == "__main__":
    main()
