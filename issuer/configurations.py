"""Which credentials wallets can get here and in which form: credential configurations (OpenID4VCI 1.0, 12.2.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from did_agent.credential.context import AGENT_PROFILE
from did_agent.credential.model import CAPABILITY_TYPE, IDENTITY_TYPE
from did_agent.errors import NotFound
from did_agent.tokens.key_proof import SIGNING_ALGORITHMS

Kind = Literal["identity", "capability"]
Form = Literal["ldp_vc", "dc+sd-jwt"]

PATH: Final = "/oid4vci"  # of the credential issuer identifier, below the issuer's URL
BATCH_SIZE: Final = 8  # proofs of one request
PRE_AUTHORIZED: Final = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
SUITES: Final = ("eddsa-jcs-2022", "eddsa-rdfc-2022", "ecdsa-jcs-2019", "ecdsa-rdfc-2019")  # of a `di_vp` proof


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One kind of credential in one form."""

    id: str
    kind: Kind
    form: Form
    cryptosuite: str | None = None  # of the Data Integrity proof

    @property
    def scope(self) -> str:
        """The scope at the bridge: what is offered here are tools there."""
        return f"tool:{self.id}"


CONFIGURATIONS: Final[Mapping[str, Configuration]] = {
    one.id: one
    for one in (
        Configuration(id="agent-identity", kind="identity", form="ldp_vc", cryptosuite="eddsa-jcs-2022"),
        Configuration(id="agent-identity-rdfc", kind="identity", form="ldp_vc", cryptosuite="eddsa-rdfc-2022"),
        Configuration(id="agent-identity-sd-jwt", kind="identity", form="dc+sd-jwt"),
        Configuration(id="agent-capability", kind="capability", form="ldp_vc", cryptosuite="eddsa-jcs-2022"),
        Configuration(id="agent-capability-rdfc", kind="capability", form="ldp_vc", cryptosuite="eddsa-rdfc-2022"),
        Configuration(id="agent-capability-sd-jwt", kind="capability", form="dc+sd-jwt"),
    )
}
_WORDS: Final[Mapping[Kind, tuple[str, str]]] = {
    "identity": ("Agent identity", "Who an AI agent is and who answers for it."),
    "capability": ("Agent capability", "What an AI agent may do, where, and within which limits."),
}
# Claims of the SD-JWT form: their path, what they mean, and whether the holder may keep them back.
_CLAIMS: Final[Mapping[Kind, tuple[tuple[list[str | None], str, str], ...]]] = {
    "identity": (
        (["agent_id"], "Stable id of the agent", "never"),
        (["name"], "Name", "never"),
        (["sponsor"], "Who answers for it", "allowed"),
        (["description"], "What it is for", "allowed"),
        (["software"], "What it runs", "allowed"),
    ),
    "capability": (
        (["capability", None], "One capability", "allowed"),
        (["delegation"], "How far it may be handed on", "never"),
        (["on_behalf_of"], "For whom the agent acts", "never"),
        (["account"], "The credential that it continues", "never"),
    ),
}


def credential_issuer(issuer_url: str) -> str:
    """Return the credential issuer identifier: an audience of its own, so that nothing made for it opens more."""
    return issuer_url + PATH


def vct_url(issuer_url: str, kind: Kind) -> str:
    """Return the type of an SD-JWT VC, which is also where its metadata is served."""
    return f"{credential_issuer(issuer_url)}/types/{kind}"


def issuer_metadata(issuer_url: str, *, bridge_url: str | None) -> dict[str, object]:
    """Return the credential issuer metadata (12.2.4); people who take an offer sign in at `bridge_url`."""
    base = credential_issuer(issuer_url)
    return {
        "credential_issuer": base,
        "authorization_servers": [base, *([] if bridge_url is None else [bridge_url])],
        "credential_endpoint": f"{base}/credential",
        "nonce_endpoint": f"{base}/nonce",
        "deferred_credential_endpoint": f"{base}/deferred",
        "notification_endpoint": f"{base}/notification",
        "batch_credential_issuance": {"batch_size": BATCH_SIZE},
        "display": [{"name": "did-agent issuer", "locale": "en"}],
        "credential_configurations_supported": {one.id: _described(one, issuer_url) for one in CONFIGURATIONS.values()},
    }


def server_metadata(issuer_url: str) -> dict[str, object]:
    """Return the metadata of our own authorization server, which knows pre-authorized codes alone (RFC 8414)."""
    base = credential_issuer(issuer_url)
    return {
        "issuer": base,
        "token_endpoint": f"{base}/token",
        "grant_types_supported": [PRE_AUTHORIZED],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "pre-authorized_grant_anonymous_access_supported": True,
        "dpop_signing_alg_values_supported": list(SIGNING_ALGORITHMS),
        "authorization_details_types_supported": ["openid_credential"],
    }


def type_metadata(issuer_url: str, kind: str) -> dict[str, object]:
    """Return the type metadata of an SD-JWT VC (SD-JWT VC draft, 6).

    Raises: NotFound.
    """
    if kind not in ("identity", "capability"):
        raise NotFound("there is no such type")
    known: Kind = "identity" if kind == "identity" else "capability"
    name, description = _WORDS[known]
    return {
        "vct": vct_url(issuer_url, known),
        "name": name,
        "description": description,
        "display": [{"locale": "en", "name": name, "description": description}],
        "claims": [
            {"path": path, "display": [{"locale": "en", "label": label}], "sd": sd}
            for path, label, sd in _CLAIMS[known]
        ],
    }


def _described(one: Configuration, issuer_url: str) -> dict[str, object]:
    name, description = _WORDS[one.kind]
    metadata: dict[str, object] = {"display": [{"name": name, "locale": "en", "description": description}]}
    members: dict[str, object] = {
        "format": one.form,
        "scope": one.scope,
        "cryptographic_binding_methods_supported": ["did:key", "jwk"],
        "proof_types_supported": {
            "jwt": {"proof_signing_alg_values_supported": list(SIGNING_ALGORITHMS)},
            "di_vp": {"proof_signing_alg_values_supported": list(SUITES)},
        },
    }
    if one.cryptosuite is not None:
        types = IDENTITY_TYPE if one.kind == "identity" else CAPABILITY_TYPE
        members["credential_signing_alg_values_supported"] = [one.cryptosuite]
        members["credential_definition"] = {"@context": list(AGENT_PROFILE), "type": list(types)}
    else:
        members["credential_signing_alg_values_supported"] = ["EdDSA"]
        members["vct"] = vct_url(issuer_url, one.kind)
        metadata["claims"] = [
            {"path": path, "display": [{"name": label, "locale": "en"}]} for path, label, _ in _CLAIMS[one.kind]
        ]
    return {**members, "credential_metadata": metadata}
