"""Run the W3C interoperability suites, offline, against a running issuer and verifier.

    python tests/conformance/w3c/run.py --suites FOLDER --prepare
    python tests/conformance/w3c/run.py --suites FOLDER --issuer URL --verifier URL [--only eddsa,ecdsa] [--json FILE]

FOLDER holds checked-out copies that this program may change: it writes each suite's local configuration there.
Exit code 0: every test was run and passed, is pending, or is excused in `suites.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from front import MARK, Addresses, Trace, front
from suites import NAME, SUITES, Server, Suite

HERE = Path(__file__).parent
SUITE_SECONDS = 900  # a suite takes ten seconds to two minutes

# Tells the front which test the next requests belong to.
HOOK = """
const {{get}} = require('{scheme}');
const say = title => new Promise(done => get(
  '{address}{mark}' + encodeURIComponent(title), {{rejectUnauthorized: false}},
  answer => answer.resume().on('end', done)));
exports.mochaHooks = {{
  async beforeEach() {{ await say(this.currentTest.fullTitle()); }}
}};
"""
# A suite writes the pointers of one test into the options that it sends with the next; these forget them once sent.
CONFIGURATION = """const configuration = {json};
for (const {{issuers = []}} of configuration.implementations) {{
  for (const {{options}} of issuers) {{
    const fresh = {{...options}};
    Object.defineProperty(options, 'toJSON', {{value() {{
      const sent = {{...options}};
      Object.keys(options).forEach(name => delete options[name]);
      Object.assign(options, fresh);
      return sent;
    }}}});
  }}
}}
module.exports = configuration;
"""
# Suites start one container per test; this stands in for the container engine and starts our program instead.
ENGINE = """#!{python}
import re, subprocess, sys
words = sys.argv[1:]
words = words[words.index({name!r}) + 1:]
words = [re.sub(r"^/tests/", {tests!r} + "/", word) for word in words]
sys.exit(subprocess.call([{python!r}, *{program!r}, *words]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a suite said."""

    suite: str
    commit: str
    passed: int
    pending: Sequence[str]
    failed: Sequence[tuple[str, str]]  # title and reason
    excused: Sequence[str]  # failed, for a reason that `suites.py` gives
    missing: int  # tests that the suite has and did not run

    @property
    def clean(self) -> bool:
        return not self.failed and not self.missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """The two Node.js programs: suites want 22 or newer, but one works only before 22."""

    new: str
    old: str


class CannotRun(Exception):
    """A suite could not be run at all, which is never a pass."""


def prepare(folder: Path, suite: Suite) -> None:
    """Install a suite's packages, with the ones it takes from source repositories taken from neighbouring folders."""
    home = folder / suite.repository
    for name in (home, *(folder / neighbour for neighbour in suite.packages.values())):
        _only_local_packages(name / "package.json", suite)
    (home / "package-lock.json").unlink(missing_ok=True)
    if suite.vectors:
        target = home / "tests" / "input" / suite.vectors
        shutil.copytree(folder / suite.vectors, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git"))
    command = ("npm", "install", "--omit=dev", "--ignore-scripts", "--install-links", "--no-package-lock")
    subprocess.run([*command, "--no-audit", "--no-fund"], cwd=home, check=True)


def _only_local_packages(path: Path, suite: Suite) -> None:
    package = json.loads(path.read_text(encoding="utf-8"))
    package.pop("devDependencies", None)
    for moment in ("pretest", "postinstall"):  # both ask the network
        package.get("scripts", {}).pop(moment, None)
    wanted = package.get("dependencies", {})
    package["dependencies"] = {
        name: f"file:../{suite.packages[name]}" if name in suite.packages else version
        for name, version in wanted.items()
    }
    path.write_text(json.dumps(package, indent=1), encoding="utf-8")


def run(name: str, *, folder: Path, server: Server, nodes: Nodes, trace: Path | None, control: str | None) -> Result:
    """Run one suite.

    Raises: CannotRun.
    """
    suite = SUITES[name]
    node = nodes.old if suite.old_node else nodes.new
    home = folder / suite.repository
    mocha = home / "node_modules" / "mocha" / "bin" / "mocha.js"
    if not mocha.exists():
        raise CannotRun(f"{home} is not prepared")
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="w3c-")))
        extra: list[str] = []
        if suite.tls or (trace and not suite.program):
            notes, addresses = Trace(trace), Addresses()
            fronts = {
                url: stack.enter_context(front(url, tls=suite.tls, trace=notes, addresses=addresses))
                for url in {server.issuer, server.verifier}
            }
            issuer = fronts[server.issuer]
            server = Server(issuer=issuer, verifier=fronts[server.verifier], dids=server.dids)
            if trace:
                hook = HOOK.format(scheme=issuer.partition(":")[0], address=issuer, mark=MARK)
                (work / "hook.cjs").write_text(hook, encoding="utf-8")
                extra = ["--require", str(work / "hook.cjs")]
        _configure(home, suite, server)
        report = work / "report.json"
        environment = {**os.environ, "PATH": f"{work}{os.pathsep}{os.environ['PATH']}", "NODE_NO_WARNINGS": "1"}
        environment["PATH"] = f"{Path(node).parent}{os.pathsep}{environment['PATH']}"
        if suite.program:
            _stand_in(work, home, ["controls.py", control] if control else [suite.program])
        command = [node, str(mocha), "tests/", "--reporter", "json", "--reporter-option", f"output={report}"]
        command += ["--timeout", "150000" if suite.program else "15000", "--preserve-symlinks", "--exit", *extra]
        with (folder / f"{name}.log").open("w", encoding="utf-8") as log:
            subprocess.run(
                command, cwd=home, env=environment, stdout=log, stderr=log, timeout=SUITE_SECONDS, check=False
            )
        if not report.exists():
            raise CannotRun(f"no report; see {folder / f'{name}.log'}")
        return _result(name, suite, home, json.loads(report.read_text(encoding="utf-8")))


def _configure(home: Path, suite: Suite, server: Server) -> None:
    configuration = json.dumps(suite.configure(server), indent=1)
    if suite.program and "vc-test-suite-implementations" not in suite.packages:
        for other in (home / "implementations").glob("*.json"):
            other.unlink()
        (home / "implementations" / f"{NAME}.json").write_text(configuration, encoding="utf-8")
    else:
        (home / "localConfig.cjs").write_text(CONFIGURATION.format(json=configuration), encoding="utf-8")
    for old in (home / "tests" / "output").rglob("*.json"):
        old.unlink()  # yesterday's answer must not count today


def _stand_in(work: Path, home: Path, program: Sequence[str]) -> None:
    words = [str(HERE / program[0]), *program[1:]]
    text = ENGINE.format(python=sys.executable, name=NAME, tests=str((home / "tests").resolve()), program=words)
    for engine in ("docker", "docker-compose"):
        path = work / engine
        path.write_text(text, encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


def _result(name: str, suite: Suite, home: Path, report: dict[str, Any]) -> Result:
    failed = [(test["fullTitle"], _reason(test)) for test in report["failures"]]
    commit = home / ".commit"
    ran = report["stats"]["passes"] + len(failed) + len(report["pending"])
    return Result(
        suite=name,
        commit=commit.read_text(encoding="utf-8").strip() if commit.exists() else "unknown",
        passed=report["stats"]["passes"],
        pending=[test["fullTitle"] for test in report["pending"]],
        failed=[(title, reason) for title, reason in failed if title not in suite.excused],
        excused=[title for title, _ in failed if title in suite.excused],
        missing=suite.tests - ran,
    )


def _reason(test: dict[str, Any]) -> str:
    return str(test["err"].get("message", "no reason given")).partition("\n")[0][:300]


def find_dids(issuer: str) -> dict[str, str]:
    """Return the issuer's DID per kind of key.

    Raises: SystemExit when it does not answer.
    """
    try:
        with urllib.request.urlopen(f"{issuer}/credentials/issuers", timeout=10) as answer:
            return {entry["keyType"]: entry["id"] for entry in json.load(answer)["issuers"]}
    except (OSError, ValueError, KeyError) as error:
        raise SystemExit(f"no VC-API issuer at {issuer}: {error}") from error


def show(result: Result) -> None:
    counts = {
        "passed": result.passed,
        "failed": len(result.failed),
        "pending": len(result.pending),
        "excused": len(result.excused),
        "not run": result.missing,
    }
    said = ", ".join(f"{count} {word}" for word, count in counts.items())
    print(f"{result.suite}: {said}; {SUITES[result.suite].tests} tests at {result.commit[:10]}")
    for title, reason in result.failed:
        print(f"  failed: {title}\n          {reason}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suites", type=Path, required=True, help="folder with the checked-out suites")
    parser.add_argument("--prepare", action="store_true", help="install the suites' packages and stop")
    parser.add_argument("--issuer", default="http://127.0.0.1:8401/vc-api")
    parser.add_argument("--verifier", default="http://127.0.0.1:8406")
    parser.add_argument("--only", default=",".join(SUITES), help="comma-separated: " + ", ".join(SUITES))
    parser.add_argument("--node", default=shutil.which("node") or "node", help="Node.js 22 or newer")
    parser.add_argument("--old-node", default=shutil.which("node") or "node", help="Node.js 18 to 21")
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--control", choices=("yes", "no"), help="suites of a command line test controls.py instead")
    parser.add_argument("--trace", type=Path, help="append every exchange here, one JSON line each")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    folder = arguments.suites.resolve()
    if arguments.prepare:
        for name in names:
            prepare(folder, SUITES[name])
        return 0
    served = any(SUITES[name].program is None for name in names)
    server = Server(
        issuer=arguments.issuer.rstrip("/"),
        verifier=arguments.verifier.rstrip("/"),
        dids=find_dids(arguments.issuer.rstrip("/")) if served else {},
    )
    nodes = Nodes(new=arguments.node, old=arguments.old_node)
    results: list[Result] = []
    broken = False
    for name in names:
        try:
            result = run(
                name, folder=folder, server=server, nodes=nodes, trace=arguments.trace, control=arguments.control
            )
        except (CannotRun, subprocess.TimeoutExpired) as error:
            broken = True
            print(f"{name}: could not run: {error}")
            continue
        show(result)
        results.append(result)
        if arguments.json:
            arguments.json.write_text(json.dumps([asdict(result) for result in results], indent=1), encoding="utf-8")
    return 1 if broken or any(not result.clean for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
