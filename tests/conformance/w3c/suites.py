"""The W3C suites: which folder each is, what it needs to know of our server, and what in it is known to be wrong.

Nothing here runs anything.  A configuration is what a suite reads as `localConfig.cjs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

NAME = "did-agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where issuer and verifier listen, and which DID holds which kind of key."""

    issuer: str
    verifier: str
    dids: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One suite: its repository, and the configuration that makes it test our server and nothing else."""

    repository: str
    tests: int  # with fewer the run was cut short: a test that was not run has not passed
    configure: Callable[[Server], dict[str, Any]]
    tls: bool = False  # follows only https addresses, or reads answers over plain http in another way
    program: str | None = None  # our command line, for suites that start a container per test
    packages: Mapping[str, str] = field(default_factory=dict)  # npm name -> neighbouring folder
    vectors: str | None = None  # a repository whose files the suite wants below tests/input
    old_node: bool = False  # clones URL objects, which Node.js refuses since 22
    # Full titles of tests that may fail, with the reason.
    excused: Mapping[str, str] = field(default_factory=dict)


def _local(**endpoints: Any) -> dict[str, Any]:
    return {
        "settings": {"enableInteropTests": False, "testAllImplementations": False},
        "implementations": [{"name": NAME, "implementation": NAME, **endpoints}],
    }


def _issuer(server: Server, key: str, options: dict[str, str], *tags: str, **more: Any) -> dict[str, Any]:
    return {
        "id": server.dids[key],
        "endpoint": f"{server.issuer}/credentials/issue",
        "options": options,
        "supports": {"vc": ["1.1", "2.0"]},
        "tags": list(tags),
        **more,
    }


def _verifier(server: Server, *tags: str, what: str = "credentials", **more: Any) -> dict[str, Any]:
    # Many fixtures are signed by a key that is not the issuer's; the cryptosuite suites ask about the proof alone.
    return {
        "id": server.dids["Ed25519"],
        "endpoint": f"{server.verifier}/{what}/verify?policy=proof",
        "supports": {"vc": ["1.1", "2.0"]},
        "tags": list(tags),
        **more,
    }


def eddsa(server: Server) -> dict[str, Any]:
    suites = ("eddsa-rdfc-2022", "eddsa-jcs-2022")
    return _local(
        issuers=[_issuer(server, "Ed25519", {"cryptosuite": name}, name) for name in suites],
        verifiers=[_verifier(server, *suites)],
    )


def ecdsa(server: Server) -> dict[str, Any]:
    def issuer(key: str, name: str) -> dict[str, Any]:
        return _issuer(server, key, {"cryptosuite": name}, name, supportedEcdsaKeyTypes=[key])

    def verifier(name: str, *keys: str) -> dict[str, Any]:
        return _verifier(server, name, supportedEcdsaKeyTypes=list(keys))

    return _local(
        issuers=[
            issuer("P-256", "ecdsa-rdfc-2019"),
            issuer("P-384", "ecdsa-rdfc-2019"),
            issuer("P-256", "ecdsa-jcs-2019"),
            issuer("P-256", "ecdsa-sd-2023"),
        ],
        verifiers=[
            verifier("ecdsa-rdfc-2019", "P-256", "P-384"),
            verifier("ecdsa-jcs-2019", "P-256", "P-384"),
            verifier("ecdsa-sd-2023", "P-256"),
        ],
        vcHolders=[{**_verifier(server, "vcHolder"), "endpoint": f"{server.verifier}/credentials/derive"}],
    )


def data_model(server: Server) -> dict[str, Any]:
    embedded, enveloping = "vc2.0", "EnvelopingProof"
    return _local(
        issuers=[
            _issuer(server, "Ed25519", {"cryptosuite": "eddsa-rdfc-2022"}, embedded),
            _issuer(server, "Ed25519", {"cryptosuite": "vc+jwt"}, enveloping),
        ],
        verifiers=[_verifier(server, embedded, enveloping)],
        vpVerifiers=[_verifier(server, embedded, enveloping, what="presentations")],
    )


def status(server: Server) -> dict[str, Any]:
    tag = "BitstringStatusList"
    return _local(
        issuers=[_issuer(server, "Ed25519", {"cryptosuite": "eddsa-rdfc-2022", "statusPurpose": "revocation"}, tag)],
        verifiers=[_verifier(server, tag)],
        vpVerifiers=[_verifier(server, tag, what="presentations")],
    )


def did_key(server: Server) -> dict[str, Any]:
    return _local(didResolvers=[{"id": "", "endpoint": f"{server.verifier}/1.0/identifiers", "tags": ["did-key"]}])


def jose_cose(_: Server) -> dict[str, Any]:
    features = [f"{what}_{how}" for what in ("credential", "presentation") for how in ("jose", "cose", "sdjwt")]
    return _local(**{"jose-cose": {"features": dict.fromkeys(features, True)}})


def json_schema(_: Server) -> dict[str, Any]:
    kinds = ["JsonSchema", "JsonSchemaCredential"]
    return {"name": NAME, "specs": dict.fromkeys(("2020-12", "2019-09", "Draft-7"), kinds)}


_NO_COSE = "COSE is not supported"
_NO_P521 = "P-521 is not among our keys"
JOSE_COSE_EXCUSED = {
    "JOSE Tests did-agent 4. JWT Complex Presentation Issuance": _NO_P521,
    # The context of the fixture gives a meaning to every member; nothing in it is unknown.
    "JOSE Tests did-agent 5. JWT Issuance with Unknown Extensions": _NO_P521,
    "JOSE Tests did-agent 7. JWT Presentation Verification": "a data: URL in the fixture ends in a line feed",
    "SD-JWT Tests did-agent 18. SD-JWT Complex Credential Issuance": _NO_P521,
    "SD-JWT Tests did-agent 21. SD-JWT Complex Credential Verification": _NO_P521,
    "COSE Tests did-agent 27. COSE Basic Credential Issuance": _NO_COSE,
    "COSE Tests did-agent 28. COSE Basic Presentation Issuance": _NO_COSE,
    "COSE Tests did-agent 29. COSE Basic Credential Verification": _NO_COSE,
    "COSE Tests did-agent 30. COSE Credential Verification Incorrect Encoding": _NO_COSE,
    "COSE Tests did-agent 31. COSE Basic Presentation Verification": _NO_COSE,
    "COSE Tests did-agent 32. COSE Credential With an Invalid Signature": _NO_COSE,
    "COSE Tests did-agent 33. COSE Credential with an Invalid Media Type": _NO_COSE,
    "COSE Tests did-agent 34. COSE Presentation with an Invalid Media Type": _NO_COSE,
    "COSE Tests did-agent 35. COSE Presentation with Invalid Credentials": _NO_COSE,
}

DATA_MODEL_EXCUSED = {
    # Neither a multihash, as Controlled Identifiers 1.0 (2.5) wants, nor of the context as it was published: the
    # standard itself gives that digest as 59955ced….
    "Advanced Concepts did-agent The value of the relatedResource property MUST be one or more objects of the "
    "following form:": "the digests in the fixture are outdated",
}

_IMPLEMENTATIONS = {"vc-test-suite-implementations": "vc-test-suite-implementations"}
_ASSERTIONS = {"data-integrity-test-suite-assertion": "data-integrity-test-suite-assertion"}

SUITES: Mapping[str, Suite] = {
    "eddsa": Suite(
        repository="vc-di-eddsa-test-suite",
        tests=57,
        configure=eddsa,
        packages={**_IMPLEMENTATIONS, **_ASSERTIONS},
        old_node=True,
    ),
    "ecdsa": Suite(
        repository="vc-di-ecdsa-test-suite",
        tests=133,
        configure=ecdsa,
        packages={**_IMPLEMENTATIONS, **_ASSERTIONS},
        vectors="vc-di-ecdsa",
    ),
    "data-model": Suite(
        repository="vc-data-model-2.0-test-suite",
        tests=65,
        configure=data_model,
        tls=True,
        packages=_IMPLEMENTATIONS,
        excused=DATA_MODEL_EXCUSED,
    ),
    "status": Suite(
        repository="vc-bitstring-status-list-test-suite",
        tests=27,
        configure=status,
        tls=True,
        packages=_IMPLEMENTATIONS,
    ),
    "did-key": Suite(
        repository="did-key-test-suite",
        tests=16,
        configure=did_key,
        packages={"vc-test-suite-implementations": "ccg-vc-test-suite-implementations"},
    ),
    "jose-cose": Suite(
        repository="vc-jose-cose-test-suite",
        tests=35,
        configure=jose_cose,
        program="jose_cli.py",
        packages=_IMPLEMENTATIONS,
        excused=JOSE_COSE_EXCUSED,
    ),
    "json-schema": Suite(
        repository="vc-json-schema-test-suite", tests=54, configure=json_schema, program="schema_cli.py"
    ),
}
