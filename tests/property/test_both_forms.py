"""Two doors, one room: of random chains, the presentation and the token made from it are one caller, and decide alike.

Both go through the doors of a real verifier; the token is what the bridge's own rules grant and sign for that chain.
1,000 chains in a run; DID_AGENT_NIGHTLY=1 makes it 20,000.  A case is its number.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from bridge.authority import authority_at
from bridge.grants.token_exchange import judge_presentation
from bridge.issuance import access_token, sign
from bridge.model import Identity, Resource, Spend, User
from bridge.model.keys import Signer
from bridge.presentations import Shown as Presented
from did_agent.credential.capability import Capability, parse_capability, scopes_of
from did_agent.credential.chain import verify_chain
from did_agent.credential.issuance import attenuate, build_capability_credential, issue, new_id
from did_agent.credential.trust import TrustedIssuers
from did_agent.did.key import did_key
from did_agent.errors import EmptyGrant
from did_agent.keys.ed25519 import SigningKey
from did_agent.keys.jwk import thumbprint
from did_agent.policy.caller import VerifiedCaller
from did_agent.policy.decide import Call, decide
from did_agent.presentation.present import present_jwt
from tests.fakes.guard_world import BRIDGE, BRIDGE_KEY, ISSUER, ISSUER_KEY, NOW, RESOURCE, World
from verifier.http import bearer_alone
from verifier.model import Admission
from verifier.service import Verifier

CASES = 20_000 if os.environ.get("DID_AGENT_NIGHTLY") else 1_000
BLOCKS = 4
OTHER = "https://other.example/mcp"
TOOLS = ("list_menu", "create_order", "update_stock", "files/read")
KEYS = [SigningKey.from_seed(bytes([65 + number]) * 32) for number in range(5)]
AGENTS = [did_key(key.public) for key in KEYS]
USER = "urn:example:smith"
LATER = NOW + timedelta(minutes=30)
PLACE = Resource(id=RESOURCE, name="Tools", scopes={f"tool:{tool}": tool for tool in TOOLS})
VALUES: list[Any] = [None, True, 0, 1, 1.0, 2.5, 7, "", "a", "abc", "/d/x", "é😀", [1], [], {"a": 1}]
ring: Any = None  # no key of it is asked for
IDENTITY = Identity(issuer=BRIDGE, did=did_key(BRIDGE_KEY.public), key=BRIDGE_KEY, ring=ring)


@dataclass(frozen=True)
class Case:
    chain: list[dict[str, Any]]  # leaf first
    key: SigningKey  # of the one who acts
    user: str | None
    rights: frozenset[str]


@pytest.mark.req("TOK-08", "DEL-04", "DEL-06")
@pytest.mark.parametrize("block", range(BLOCKS))
def test_the_caller_and_every_decision_are_the_same_in_both_forms(block: int) -> None:
    verifier, seen = World().verifier(), Counter[str]()
    for number in range(block, CASES, BLOCKS):
        random = Random(number)
        case = case_of(random)
        seen[f"depth {len(case.chain) - 1}"] += 1
        seen["for a user" if case.user else "for itself"] += 1
        shown = enter(verifier, present_jwt(case.chain, key=case.key, audience=RESOURCE, now=NOW))
        text = token_of(case)
        if text is None:  # nothing at this resource, or nothing the person may: then a presentation allows nothing too
            seen["nothing granted"] += 1
            assert not any(allows(shown, call) for call in calls_of(random, shown)), number
            continue
        through = enter(verifier, text)
        if case.user is None:
            assert through == shown, number
        else:
            assert through == entitled(shown, through), number
            assert (through.principal.id, through.principal.kind) == (shown.principal.id, shown.principal.kind)
        for call in calls_of(random, shown):
            seen[compare(shown, through, call, f"{number}: {call}")] += 1
    least = {"depth 0", "depth 4", "for a user", "nothing granted", "allowed", "refused", "for the user alone"}
    assert all(seen[what] >= CASES // BLOCKS // 25 for what in least), seen


def compare(shown: VerifiedCaller, through: VerifiedCaller, call: Call, case: str) -> str:
    """Return what the decisions on a call are, which must be the same."""
    for counted in (False, True):
        first = decide(shown, call, limits_are_counted=counted)
        second = decide(through, call, limits_are_counted=counted)
        if shown.principal == through.principal:
            assert first == second, case
        else:
            assert not first.allowed, case  # nobody said what the person may
            assert decide(entitled(shown, through), call, limits_are_counted=counted) == second, case
    if shown.principal != through.principal:
        return "for the user alone" if second.allowed else "refused"
    return "allowed" if second.allowed else "refused"


def entitled(shown: VerifiedCaller, through: VerifiedCaller) -> VerifiedCaller:
    """Return who presents, with what is the bridge's to say: who the person is, and what they may."""
    return replace(
        shown,
        principal=through.principal,
        entitlements=through.entitlements,
        scopes=through.scopes,
        groups=through.groups,
    )


def allows(caller: VerifiedCaller, call: Call) -> bool:
    return decide(caller, call, limits_are_counted=True).allowed


def enter(verifier: Verifier, credential: str) -> VerifiedCaller:
    admission: Admission = finished(verifier.admit(bearer_alone(credential)))
    return admission.caller


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    """Return the outcome of what waits for nothing here."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something")


def token_of(case: Case) -> str | None:
    """Return the token the bridge would sign for the chain; None when it grants nothing."""
    holder = did_key(case.key.public)
    chain = verify_chain(case.chain, holder=holder, now=NOW, trusted=TrustedIssuers.of(ISSUER), max_depth=4)
    spend = Spend("presentation", "k", LATER)
    person = None
    if case.user is not None:
        person = User(username=case.user, name="Smith", password_hash="", rights={RESOURCE: case.rights})
    try:
        grant = judge_presentation(
            Presented(holder=holder, chain=chain, spend=spend),
            requested=None,
            resource=PLACE,
            authority=authority_at(RESOURCE, [chain], now=NOW),
            user=person,
            now=NOW,
        )
    except EmptyGrant:
        return None
    token = access_token(grant, identity=IDENTITY, now=NOW)
    return sign(token, signer=Signer(kid=thumbprint(BRIDGE_KEY.public), key=BRIDGE_KEY))


# ---- random chains


def case_of(random: Random) -> Case:
    user = USER if random.random() < 0.3 else None
    depth = random.randrange(5 if user is None else 4)  # for a person all agents are actors, of which a token names 4
    root = build_capability_credential(
        id=new_id(),
        issuer=ISSUER,
        subject=AGENTS[0],
        valid_from=NOW - timedelta(minutes=1),
        valid_until=LATER,
        capabilities=[capability_of(random) for _ in range(random.randint(1, 4))],
        max_depth=4,
        on_behalf_of=user,
    )
    chain = [issue(root, ISSUER_KEY, now=NOW)]
    for hop in range(depth):
        child = attenuate(
            chain[0],
            key=KEYS[hop],
            subject=AGENTS[hop + 1],
            capabilities=narrower(random, chain[0]),
            valid_until=LATER - timedelta(minutes=hop),
            now=NOW,
        )
        chain.insert(0, child)
    tools = random.sample(TOOLS, random.randrange(len(TOOLS) + 1))
    return Case(chain=chain, key=KEYS[depth], user=user, rights=frozenset(f"tool:{tool}" for tool in tools))


def capability_of(random: Random) -> Capability:
    resources = random.choice([[RESOURCE], [RESOURCE], [RESOURCE, OTHER], [OTHER]])
    tools = {tool: rules_of(random) for tool in random.sample(TOOLS, random.randint(1, len(TOOLS)))}
    entry: dict[str, Any] = {"type": "AgentCapability", "resource": resources, "tools": tools}
    if random.random() < 0.3:
        entry["limits"] = random.choice(
            [
                {"maxCalls": random.randint(1, 9), "windowSeconds": 60},
                {"maxAmount": "12.50", "currency": "EUR"},
                {"maxRate": random.randint(1, 9), "maxCalls": 5},
                {"singleUse": True},
            ]
        )
    return parse_capability(entry)


def rules_of(random: Random) -> dict[str, Any]:
    names = random.sample(["a", "b", "ü"], random.choice([0, 0, 1, 1, 2]))
    return {name: rule_of(random, deep=True) for name in names}


def rule_of(random: Random, *, deep: bool) -> dict[str, Any]:
    kinds: list[dict[str, Any]] = [
        {"constraint_type": "wildcard"},
        {"constraint_type": "exact", "value": random.choice(VALUES[:12])},
        {"constraint_type": "one_of", "values": random.sample(VALUES, 3)},
        {"constraint_type": "not_one_of", "excluded": random.sample(VALUES, 3)},
        {"constraint_type": "range", "min": random.choice([0, 0.5, 1]), "max": random.choice([1, 2.5, 7])},
        {"constraint_type": "prefix", "prefix": random.choice(["", "a", "ab"])},
        {"constraint_type": "path", "root": random.choice(["/", "/d"])},
        {"constraint_type": "max_length", "value": random.randrange(4)},
        {"constraint_type": "subset", "allowed": [1, 2]},
    ]
    if deep:
        inner = [rule_of(random, deep=False) for _ in range(random.randint(1, 2))]
        kinds.append({"constraint_type": random.choice(["all", "any"]), "constraints": inner})
    return random.choice(kinds)


def narrower(random: Random, parent: dict[str, Any]) -> list[Capability]:
    """Return part of what a credential gives: fewer entries, fewer tools, one resource, tighter limits."""
    held = [parse_capability(entry) for entry in parent["credentialSubject"]["capability"]]
    kept = random.sample(held, random.randint(1, len(held)))
    found = []
    for one in kept:
        tools = random.sample(sorted(one.tools), random.randint(1, len(one.tools)))
        resources = one.resources if random.random() < 0.7 else (one.resources[0],)
        limits = one.limits
        if limits is not None and limits.max_calls is not None and random.random() < 0.5:
            limits = replace(limits, max_calls=max(1, limits.max_calls - 1))
        part = replace(one, resources=resources, tools={tool: one.tools[tool] for tool in tools}, limits=limits)
        found.append(part)
    return found


def calls_of(random: Random, caller: VerifiedCaller) -> list[Call]:
    """Return calls that are likely to be near what the caller may do."""
    random = Random(random.random())
    found = [Call(resource=RESOURCE, tool=tool, arguments={}) for tool in (*TOOLS, "delete_order")]
    found.append(Call(resource=OTHER, tool=TOOLS[0], arguments={}))
    for held in caller.capabilities:
        assert scopes_of([held]) <= caller.scopes
        for tool, rules in held.tools.items():
            for _ in range(3):
                arguments = {name: likely(random, rule.to_json()) for name, rule in rules.items()}
                found.append(Call(resource=RESOURCE, tool=tool, arguments=arguments))
            extra = {**dict.fromkeys(rules, 1), "z": 1}
            found.append(Call(resource=RESOURCE, tool=tool, arguments=extra))
    return found


def likely(random: Random, rule: Any) -> Any:
    known = rule.get("value", rule.get("prefix", rule.get("root", rule.get("max"))))
    return known if known is not None and random.random() < 0.6 else random.choice([*VALUES, *rule.get("values", [])])
