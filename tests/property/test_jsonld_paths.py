"""The compiled path can only be faster, never different: on random documents it agrees with PyLD or steps aside.

2,000 documents in a run; DID_AGENT_NIGHTLY=1 makes it 100,000.
"""

from __future__ import annotations

import copy
import os
import random
from typing import Any

import pytest

from did_agent.encoding.jsonld import canonical, compiled
from did_agent.encoding.jsonld.active import UnsupportedError
from did_agent.encoding.rdfc import canonicalize
from did_agent.errors import DidAgentError
from did_agent.presentation.present import present
from tests.fakes.credentials import ALICE, AUDIENCE, BOB, NOW, chain_of_two, root, status_list

DOCUMENTS = 100_000 if os.environ.get("DID_AGENT_NIGHTLY") else 2_000
V2 = "https://www.w3.org/ns/credentials/v2"
MORE = [
    "https://w3id.org/did-agent/capability/v1",
    "https://w3id.org/citizenship/v4rc1",
    "https://w3id.org/vdl/v1",
    "https://www.w3.org/ns/did/v1.1",
    "https://w3id.org/security/data-integrity/v2",
    "https://www.w3.org/ns/credentials/examples/v2",
]
NAMES = [
    "id", "type", "name", "description", "issuer", "holder", "validFrom", "credentialSubject", "credentialStatus",
    "capability", "delegation", "resource", "tools", "limits", "depth", "onBehalfOf", "parent", "digestMultibase",
    "evidence", "termsOfUse", "proof", "verifiableCredential", "relatedResource", "digestSRI", "sponsor", "software",
    "givenName", "birthDate", "unknownTerm", "@id", "@type", "@value", "@context", "statusPurpose", "encodedList",
    "verificationMethod", "proofPurpose", "cryptosuite", "publicKeyMultibase", "assertionMethod", "service",
]  # fmt: skip
TYPES = [
    "VerifiableCredential", "VerifiablePresentation", "AgentCapabilityCredential", "AIAgent", "AgentCapability",
    "DelegationPolicy", "DataIntegrityProof", "BitstringStatusListEntry", "BitstringStatusList", "Person",
    "PermanentResidentCard", "Multikey", "JsonSchema", "https://types.example/A", "Unknown", "schema:Thing",
]  # fmt: skip
SCALARS = [
    "", "text", "Müller \U0001f980 \u2028", 'quote " back \\ slash', "line\nfeed\ttab\x7f", "2026-11-23T10:00:00Z",
    "https://a.example/x", "did:key:z6Mk", "urn:uuid:1", "_:b0", "relative/path", "assertionMethod", "cred:x",
    True, False, 0, 1, -1, 10, 2**53 - 1, 2**53, 1.5, 1e21, None,
]  # fmt: skip


def value(rng: random.Random, depth: int) -> Any:
    pick = rng.random()
    if depth <= 0 or pick < 0.45:
        return rng.choice(SCALARS)
    if pick < 0.6:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return node(rng, depth - 1)


def node(rng: random.Random, depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if rng.random() < 0.7:
        made["type"] = rng.choice(TYPES) if rng.random() < 0.5 else rng.sample(TYPES, rng.randrange(1, 4))
    if rng.random() < 0.5:
        made["id"] = rng.choice(["urn:uuid:1", "https://a.example/1", "did:example:1"])
    for name in rng.sample(NAMES, rng.randrange(6)):
        made[name] = [V2, *rng.sample(MORE, 1)] if name == "@context" else value(rng, depth)
    return made


def mutate(rng: random.Random, document: Any) -> Any:
    """Change a valid document in one to three places."""
    changed = copy.deepcopy(document)
    for _ in range(rng.randrange(1, 4)):
        places: list[tuple[Any, Any]] = []
        waiting = [changed]
        while waiting:
            item = waiting.pop()
            keys = list(item) if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else []
            places += [(item, key) for key in keys]
            waiting += [item[key] for key in keys if isinstance(item[key], dict | list)]
        container, key = rng.choice(places)
        pick = rng.random()
        if pick < 0.4:
            container[key] = value(rng, 2)
        elif pick < 0.6:
            container[key] = [container[key]]
        elif pick < 0.8 and isinstance(container, dict):
            container[rng.choice(NAMES)] = value(rng, 1)
        elif len(container) > 1:
            del container[key]
        if not isinstance(changed, dict):
            return document
    return changed


def documents() -> list[Any]:
    chain = chain_of_two()
    return [
        root(),
        {name: member for name, member in root().items() if name != "proof"},
        *chain,
        present(chain, key=BOB, audience=AUDIENCE, challenge="c", now=NOW),
        present([], key=ALICE, audience=AUDIENCE, challenge="c", now=NOW),
        status_list("revocation"),
    ]


def outcome(path: Any, document: Any) -> Any:
    try:
        return canonicalize(path(document)).text
    except DidAgentError as error:
        return type(error)


@pytest.mark.req("VCX-07", "VCX-08")
def test_both_paths_agree_on_random_documents() -> None:
    rng = random.Random(2026)  # noqa: S311  # the same documents in every run
    valid = documents()
    covered = 0
    for number in range(DOCUMENTS):
        if number % 2:
            document = {"@context": [V2, *rng.sample(MORE, rng.randrange(3))], **node(rng, 3)}
        else:
            document = mutate(rng, rng.choice(valid))
        try:
            fast = outcome(compiled.to_quads, document)
        except UnsupportedError:
            continue
        slow = outcome(canonical.reference_dataset, document)
        # Where both refuse, they may name different reasons; where one signs, the other signs the same bytes.
        assert fast == slow or (isinstance(fast, type) and isinstance(slow, type)), (number, fast, slow)
        covered += 1
    assert covered > DOCUMENTS // 20


def test_what_we_issue_takes_the_compiled_path() -> None:
    for document in documents():
        assert (
            canonicalize(compiled.to_quads(document)).text == canonicalize(canonical.reference_dataset(document)).text
        )


@pytest.mark.req("VCX-08")
@pytest.mark.parametrize(
    "member",
    [
        {"surprise": 1},
        {"credentialSubject": {"id": "relative"}},
        {"type": ["VerifiableCredential", "Relative"]},
        {"name": None},
        {"evidence": []},
        {"credentialSubject": {"type": "AIAgent", "onBehalfOf": "nobody"}},
    ],
)
def test_a_member_that_would_not_be_signed_is_refused(member: dict[str, Any]) -> None:
    from did_agent.encoding.jsonld import canonical_nquads

    document = {name: held for name, held in root().items() if name != "proof"}
    assert canonical_nquads(document)
    with pytest.raises(DidAgentError):
        canonical_nquads({**document, **member})
