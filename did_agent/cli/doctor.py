"""`did-agent doctor`: looks at everything a deployment needs and says what to do about what is wrong."""

from __future__ import annotations

import asyncio
import stat
import sys
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import click
import httpx2

from did_agent.adapters.http import peer_client
from did_agent.adapters.keystore import is_plain, load_key
from did_agent.adapters.readiness import OK as OK_WORD
from did_agent.adapters.readiness import READY_PATH, WORDS
from did_agent.cli import precautions
from did_agent.cli.deployment import OPERATOR, PARTIES, Deployment
from did_agent.cli.finding import Finding
from did_agent.cli.output import OK, REFUSED, emit, grid, json_option
from did_agent.clock import system_clock
from did_agent.encoding.strict_json import parse_object
from did_agent.errors import DidAgentError, Misconfigured

MAX_SKEW: Final = 30  # s between this clock and a party's
_OLDEST: Final = (3, 11)
_LOOKS: Final = 10  # at a guard that is not ready yet
_PAUSE: Final = 0.5  # s between them
# By the name of a part.
_ADVICE: Final = {
    "database": "does it run, and does DID_AGENT_DATABASE_URL name it?",
    "schema": "run `did-agent database status`",
    "outbox": "events wait for the ledger: is it running, and does trust.json name this party?",
    "ledger": "events wait until it answers again",
    "revocation_feed": "the bridge does not answer this party",
    "trust_list": "the issuer does not answer this party, or its list is signed by another key",
    "status_lists": "a list that credentials name cannot be had",
    "policy": "the bridge does not give its policy to this guard",
    "spool": "the guard's folder has no room, or the ledger is away for long",
}


@click.command()
@json_option
@click.pass_obj
def doctor(at: Deployment, as_json: bool) -> None:
    """Check the set-up of this machine and the parties it talks to."""
    here = [*_machine(), *precautions.versions(), *_folder(at), *precautions.settings(at)]
    ending = [*precautions.certificates(), *precautions.credentials(at)]
    findings = [*here, *ending, *asyncio.run(_running(at))]
    text = grid([(one.mark, one.what, one.says) for one in findings])
    emit({"findings": [one.members() for one in findings]}, as_json=as_json, text=text)
    sys.exit(OK if all(one.ok for one in findings) else REFUSED)


def _machine() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding(what="Python", ok=sys.version_info >= _OLDEST, says=version)


def _folder(at: Deployment) -> Iterator[Finding]:
    if not at.data.exists():
        yield Finding(what="data folder", ok=False, says=f"{at.data} is missing: run `did-agent init`")
        return
    others = at.data.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    says = f"{at.data} is open to others; run: chmod 700 {at.data}" if others else "open to its owner alone"
    yield Finding(what="data folder", ok=not others, says=says)
    try:
        trust = at.trust
        says = f"{len(trust.issuers)} issuers, {len(trust.operators)} operators, {len(trust.parties)} parties"
        yield Finding(what="trust.json", ok=bool(trust.issuers and trust.operators), says=says)
    except Misconfigured as error:
        yield Finding(what="trust.json", ok=False, says=error.detail)
    keys = at.data / "keys"
    for name in sorted({OPERATOR, *PARTIES, *(path.stem for path in keys.glob("*.jwk"))}):
        path = keys / f"{name}.jwk"
        try:
            load_key(path)
            says = "readable by its owner alone" if is_plain(path) else "sealed, and readable by its owner alone"
            yield Finding(what=f"key {name}", ok=True, says=says)
        except DidAgentError as error:
            yield Finding(what=f"key {name}", ok=False, says=error.detail)


async def _running(at: Deployment) -> list[Finding]:
    return [*await precautions.databases(at), *await _parties(at)]


async def _parties(at: Deployment) -> list[Finding]:
    urls = (at.urls.bridge_url, at.urls.issuer_url, at.urls.ledger_url)
    async with peer_client() as http:
        found = [one for url in urls for one in await _party(http, url)]
        found += await _demo(http, at.urls.demo_url)
    try:
        await at.issuer.agents(state="active")
        found.append(Finding(what="operator", ok=True, says="the issuer knows this operator"))
    except DidAgentError as error:
        found.append(Finding(what="operator", ok=False, says=error.detail))
    return found


async def _party(http: httpx2.AsyncClient, url: str) -> list[Finding]:
    try:
        lives = await http.get(f"{url}/livez")
        ready = await http.get(f"{url}/readyz")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        says = f"cannot be reached ({type(error).__name__}): run `did-agent up`"
        return [Finding(what=url, ok=False, says=says)]
    if not lives.is_success:
        says = f"something else answers there ({lives.status_code}): check the port"
        return [Finding(what=url, ok=False, says=says)]
    parts = _parts(url, ready)
    if not ready.is_success:
        says = f"alive but not ready ({ready.status_code}): look at its log"
        return [Finding(what=url, ok=False, says=says), *parts]
    skew = _skew(ready)
    if skew is None or skew > MAX_SKEW:
        says = "does not say its time" if skew is None else f"its clock differs by {skew:.0f} s: set the clocks"
        return [Finding(what=url, ok=False, says=says), *parts]
    return [Finding(what=url, ok=True, says="alive, ready, clocks agree"), *parts]


def _parts(url: str, ready: httpx2.Response) -> Iterator[Finding]:
    """Yield what a party says of those of its parts that are not well."""
    try:
        parts = parse_object(ready.content).get("parts")
    except DidAgentError:
        return
    for name, word in parts.items() if isinstance(parts, dict) else ():
        if word in WORDS and word != OK_WORD:
            says = f"{word}: {_ADVICE.get(name, 'look at the log of the party')}"
            yield Finding(what=f"{url} {name[:40]}", ok=ready.is_success, warns=True, says=says)


async def _demo(http: httpx2.AsyncClient, url: str) -> list[Finding]:
    try:
        status = (await http.get(url)).status_code
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        says = f"cannot be reached ({type(error).__name__}): run `did-agent up`"
        return [Finding(what=url, ok=False, says=says)]
    guarded = status == httpx2.codes.UNAUTHORIZED
    says = "asks for credentials" if guarded else f"answers {status} without credentials; no guard there"
    return [Finding(what=url, ok=guarded, says=says), *(await _parts_of_guard(http, url) if guarded else ())]


async def _parts_of_guard(http: httpx2.AsyncClient, url: str) -> list[Finding]:
    parts = urlsplit(url)
    base = f"{parts.scheme}://{parts.netloc}"
    try:
        ready = await http.get(base + READY_PATH)
        for _ in range(_LOOKS):  # one that has just begun has asked for what it needs, and waits for it
            if ready.status_code != httpx2.codes.SERVICE_UNAVAILABLE:
                break
            await asyncio.sleep(_PAUSE)
            ready = await http.get(base + READY_PATH)
        return list(_parts(base, ready))
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return []  # a guard need not answer that itself


def _skew(response: httpx2.Response) -> float | None:
    try:
        told = parsedate_to_datetime(response.headers.get("date", "")).astimezone(UTC)
    except ValueError:
        return None
    return abs((told - system_clock()).total_seconds())
