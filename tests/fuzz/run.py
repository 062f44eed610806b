"""Fuzz one target, guided by coverage: `python tests/fuzz/run.py TARGET --seconds N`.

Ends with 0 when the time is over; whatever left the target ends it at once and is kept in `--findings`.  Each new
slowest input is a line on stderr.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["did_agent"]):
    from tests.fuzz import seeds, targets

MAX_LENGTH = 16_384  # bytes of what is made up; the heaviest inputs are longer
ODD: list[Any] = [
    None, True, 0, -1, 1.5, 1e21, 2**53 - 1, -(2**53), "", "x", "\x00", "é\u2028\U0001f600", "did:key:z", "_:b0", "u", [], [[]], {},
    {"a": {}}, ["x"], "https://a.example/", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "@id", "@type", "@value", "@context", "@graph",
    "z" * 300, {"@value": "x"}, {"@id": "urn:x"}, {"@list": [1]}, {"id": "urn:x"},
]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=sorted(targets.TARGETS))
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--findings", type=Path, default=None, help="folder for the input that made the target fail")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="did-agent-fuzz-") as folder:
        child = os.fork()  # the fuzzer ends its process without a word to Python
        if child == 0:
            fuzz(chosen.target, chosen.seconds, Path(folder), chosen.findings or Path(folder))
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def fuzz(target: str, seconds: int, folder: Path, findings: Path) -> None:
    """Run until the time is over or something left the target; never returns."""
    held = seeds.seeds(target)
    corpus, dictionary = folder / "corpus", folder / "words"
    corpus.mkdir()
    findings.mkdir(parents=True, exist_ok=True)
    for number, raw in enumerate(held):
        corpus.joinpath(str(number)).write_bytes(raw)
    dictionary.write_text("".join(f'"{word}"\n' for word in words(held)))
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_LENGTH}",
        f"-artifact_prefix={findings}/",
        f"-dict={dictionary}",
        "-timeout=20",  # seconds of the clock, for what never ends
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *options], Slowest(target), custom_mutator=mutate)
    atheris.Fuzz()


class Slowest:
    """Runs inputs, keeps the time of the slowest."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.seconds = 0.0

    def __call__(self, raw: bytes) -> None:
        seconds = targets.timed(self.target, raw)
        if seconds > self.seconds * 1.1:
            self.seconds = seconds
            print(f"slowest: {seconds * 1000:.1f} ms for {len(raw)} bytes", file=sys.stderr, flush=True)


def words(held: list[bytes]) -> list[str]:
    """Return the short strings of the seeds, which a mutator then knows."""
    found = {word for raw in held for word in re.findall(rb'"([A-Za-z@$_][A-Za-z0-9@:/._+-]{1,40})"', raw)}
    return ["@context", *sorted(word.decode() for word in found)[:400]]  # an empty dictionary is an error


def mutate(raw: bytes, max_size: int, seed: int) -> bytes:
    """Change bytes, or, where a line is JSON, what it says."""
    rng = random.Random(seed)
    lines = raw.split(b"\n") if len(raw) < MAX_LENGTH else [raw]
    at = rng.randrange(len(lines))
    mark = b"!" if lines[at][:1] == b"!" else b""
    if lines[at][len(mark) :][:1] not in (b"{", b"[") or rng.random() < 0.4:
        return atheris.Mutate(raw, max_size)
    try:
        value = json.loads(lines[at][len(mark) :])
    except (ValueError, RecursionError):
        return atheris.Mutate(raw, max_size)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        value = _changed(rng, value)
    try:
        lines[at] = mark + json.dumps(value, separators=(",", ":"), ensure_ascii=rng.random() < 0.2).encode(
            "utf-8", "surrogatepass"
        )
    except RecursionError:
        return atheris.Mutate(raw, max_size)
    made = b"\n".join(lines)
    return made if len(made) <= max_size else atheris.Mutate(raw, max_size)


def _changed(rng: random.Random, value: Any) -> Any:
    places: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        names = list(item) if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ()
        places += [(item, name) for name in names]
        waiting += [item[name] for name in names if isinstance(item[name], dict | list)]
    if not places:
        return copy.deepcopy(rng.choice(ODD))
    container, name = rng.choice(places)
    other, its = rng.choice(places)
    pick = rng.randrange(8)
    if pick == 0:
        container[name] = copy.deepcopy(other[its])
    elif pick == 1:
        container[name] = [container[name]]
    elif pick == 2 and isinstance(container, dict):
        container[rng.choice([its, "@id", "@type", "@context", "proof", "x"]) if isinstance(its, str) else "x"] = (
            container.pop(name)
        )
    elif pick == 3:
        del container[name]
    elif pick == 4 and isinstance(container, list):
        container.extend(copy.deepcopy([container[name]] * rng.randrange(1, 8)))
    elif pick == 5 and isinstance(container[name], str):
        container[name] = atheris.Mutate(container[name].encode("utf-8", "surrogatepass"), 512).decode(
            "utf-8", "replace"
        )
    elif pick == 6 and isinstance(container[name], int | float):
        container[name] = rng.choice(
            [container[name] + 1, -container[name], container[name] * 2**31, container[name] / 3]
        )
    else:
        container[name] = copy.deepcopy(rng.choice(ODD))
    return value


if __name__ == "__main__":
    sys.exit(main())
