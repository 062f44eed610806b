"""What to do about a refusal: one sentence for every code that an audit event can give as its reason.

Two tables: the codes of errors, and those of policy, which refuses what was believed.  A remedy speaks to whoever was
refused or runs the agent; it holds no names and no values, so it may be shown to anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_FIX: Final = "Send it in the form that the reference describes"
_FRESH: Final = "Get a fresh token or make a fresh presentation"
_LATER: Final = "Try again in a moment"

_READING: Final = {
    "malformed": f"{_FIX}.",
    "not_json": "Send one strict JSON text.",
    "duplicate_member": "Name each member of a JSON object once.",
    "too_deep": "Nest the JSON less deeply.",
    "limit_exceeded": "Send less: fewer or smaller credentials and arguments.",
    "bad_encoding": "Write base64url without padding and JSON in its canonical form.",
    "bad_key": "Use an Ed25519 or P-256 public key.",
    "invalid_did": "Check the DID: did:key, did:jwk and did:web are known here.",
    "invalid_did_document": "The owner of the DID must repair the document that it publishes.",
    "bad_jose": "Send the signed token whole and as it was given.",
    "unknown_event": "Send one of the security events that the reference lists.",
    "bad_proof": "Sign the document again with one of the supported cryptosuites.",
    "unknown_context": "Use the JSON-LD contexts that are pinned here and no others.",
    "data_loss": "Use only members that the contexts of the document define.",
    "too_complex": "Make the document simpler; blank nodes cost most.",
    "bad_timestamp": "Write times as RFC 3339 says, with a zone.",
    "malformed_credential": "Ask the issuer for the credential again; it does not follow its schema.",
    "status_list_too_short": "The publisher of the status list must publish at least the smallest list.",
    "status_index_out_of_range": "Ask the issuer for the credential again; its status has no place in the list.",
    "unknown_constraint": "Use the argument constraints that the reference lists.",
    "malformed_presentation": "Make the presentation with `Agent.present` or as the reference describes.",
    "malformed_event": "Deliver audit events as the reference describes them.",
    "malformed_policy": "`did-agent policy lint` names what is wrong in the policy.",
    "invalid_parameter": "Correct the parameter that the answer names.",
    "missing_parameter": "Send the parameter that the answer names.",
    "repeated_parameter": "Send each parameter once.",
    "wrong_content_type": "Send the content type that the reference names.",
    "invalid_client_metadata": "Correct what the client says of itself, and register again.",
    "invalid_redirect_uri": "Register the exact redirect URI, https or loopback.",
    "unsupported_grant_type": "Use one of the grants that the metadata of the bridge lists.",
    "invalid_binding_message": "Send one short line of plain text.",
    "unsupported_details": "Ask for authorization details of the type that the resource takes.",
    "invalid_credential_request": "Ask for what was offered, in the form of OpenID4VCI.",
    "unknown_credential_configuration": "Ask for a credential configuration that the offer names.",
    "unknown_credential_identifier": "Ask for a credential identifier that came with the token.",
    "invalid_encryption_parameters": "Leave out the encryption of the answer; TLS protects it.",
    "invalid_notification_request": f"{_FIX}.",
    "header_mismatch": "Send headers that say the same as the body.",
}
_BELIEVING: Final = {
    "not_verified": f"{_FRESH}.",
    "not_authenticated": "Show an access token or a presentation: get one as the agent, for this resource.",
    "bad_signature": "It was changed on its way or signed by another key: get it again from where it came from.",
    "wrong_type": "Show a token of the kind that is asked for here: an access token or a presentation.",
    "wrong_algorithm": "Sign with the algorithm of the key: EdDSA, ES256, or what the issuer publishes.",
    "wrong_key": f"The key is not, or no longer, the signer's: {_FRESH[0].lower()}{_FRESH[1:]} with the current key.",
    "wrong_purpose": "Sign with a key that its DID document lists for this purpose.",
    "expired": f"{_FRESH}; if a credential ended, renew it with the issuer.",
    "not_yet_valid": "Wait until it begins, or set the clocks of both machines right.",
    "wrong_audience": "Ask for it anew with the exact identifier of the resource: it was made for somebody else.",
    "wrong_issuer": "Ask the bridge or issuer that this resource believes.",
    "wrong_challenge": "Ask for a challenge, and answer that one at once.",
    "replayed": "It is good for one use: make another one for each request.",
    "issuer_not_trusted": "Use a credential of a trusted issuer, or have an operator add it: `did-agent trust add`.",
    "holder_mismatch": "Present the credentials with the key they were given to.",
    "revoked": "It was taken back for good: ask the sponsor why, then for a new credential and a new token.",
    "suspended": "It is suspended: ask the sponsor; it counts again once it is resumed.",
    "status_not_verified": "The publisher of the status list must repair it; until then nothing in it counts.",
    "schema_violated": "Ask the issuer for a credential that follows the schema it names.",
    "schema_indeterminate": "Use a credential whose schema is known here.",
    "related_resource_mismatch": "Ask the issuer for the credential again; what it refers to has changed.",
    "chain_broken": "Present every credential of the chain, from the caller's own to the issuer's.",
    "not_attenuated": "Hand on no more than was received: fewer tools, tighter arguments, a shorter time.",
    "depth_exceeded": "Hand it on fewer times, or have the first credential allow more hops.",
    "unknown_agent": "Register and enrol the agent: `did-agent agent create`.",
    "agent_not_active": "The agent is suspended or retired: its sponsor resumes it with `did-agent agent resume`.",
    "actor_mismatch": "The agent that shows it must be the one it names.",
    "client_not_authenticated": "Authenticate the client with the key or secret it is registered with.",
    "bad_grant": "Start the grant again: it was used, changed or is over.",
    "task_completed": "Begin a new task; this one is completed.",
    "invalid_dpop_proof": "Make a new DPoP proof for this very request, with the key that the token is bound to.",
    "use_dpop_nonce": "Repeat the request with the nonce that came with the answer.",
    "sender_not_proven": "Show it with a proof of the key it is bound to: DPoP, or the client certificate.",
    "delegation_not_evidenced": "Get a token from the bridge of this deployment with credentials that say as much.",
    "log_inconsistent": "Keep the file, ask for the export again, and compare the checkpoints with a witness.",
    "bundle_inconsistent": "Ask for the bundle again; do not rely on this file.",
    "invalid_proof": "Prove the wallet's key again, with the nonce of the issuer.",
    "invalid_nonce": "Ask for a new nonce and prove the key with it.",
}
_ALLOWING: Final = {
    "denied": "Ask whoever runs the resource for the right.",
    "insufficient_scope": "Ask for a token with the scope of this operation.",
    "empty_grant": "Nothing both may was asked for: `did-agent cred list` shows what the agent holds.",
    "unauthorized_client": "Register the client for this, or ask as the client it is for.",
    "unknown_resource": "Name a resource that is registered, letter by letter: `did-agent resource list`.",
    "consent_denied": "Ask the person again, and say what it is for.",
    "not_found": "Check the identifier: there is no such thing here, or it is not yours to see.",
    "state_conflict": "Look at the current state, and change it from there.",
    "quota_exceeded": "Wait until the quota is renewed, or have it raised.",
    "too_many_pending": "Wait until open questions are answered or over.",
    "authorization_pending": "Wait for the person's answer.",
    "slow_down": "Wait longer between two questions.",
    "request_expired": "Ask the person again; they did not answer in time.",
    "details_refused": "Ask for authorization details that the credentials cover.",
    "actor_unauthorized": "Have the policy or the person allow this agent to act for them.",
    "credential_request_denied": "Ask the issuer's operators why; it was decided by people.",
    "invalid_transaction_id": "Begin the issuance again.",
    "invalid_notification_id": "Use the notification id that came with the credential.",
    "server_refused": "Do what the answer of the other party says.",
}
_FINDING_OUT: Final = {
    "unavailable": f"{_LATER}.",
    "status_unavailable": f"{_LATER}; without its status list no credential counts: is the issuer up?",
    "keys_unavailable": f"{_LATER}; the keys of the signer could not be had: is its address right and up?",
    "peer_unavailable": f"{_LATER}; `did-agent doctor` says which party does not answer.",
    "store_unavailable": f"{_LATER}; the operator looks at the database.",
    "audit_unavailable": f"{_LATER}; nothing is done that cannot be recorded: the operator makes room for events.",
    "policy_unavailable": f"{_LATER}; the policy could not be had from the bridge.",
    "policy_stale": f"{_LATER}; the policy here is too old: is the bridge reachable?",
    "misconfigured": "`did-agent doctor` checks the set-up.",
}
_POLICY: Final = {
    "agent_not_capable": "Have the agent granted the tool: `did-agent cred issue … --tool NAME`, then get a new token.",
    "arguments_refused": "Call it with arguments within what was granted, or have the constraint widened.",
    "limit_reached": "The limit is used up: wait for the next window, or ask for a new grant.",
    "limit_not_enforceable": "Give the guard a store that counts limits, or use a credential without them.",
    "user_not_entitled": "Have the person given the right to this tool at the bridge, or call for somebody who has it.",
    "scope_not_granted": "Ask for a token with this tool's scope; the person has to agree where one is behind it.",
    "mode_refused": "The resource takes no caller of this kind: a person has to be behind the agent, or none.",
    "refused_by_rules": "A rule of the policy says no: `did-agent policy show`, and the explanation names it.",
    "rule_failed": "A rule could not be evaluated, which means no: an operator runs `did-agent policy lint`.",
    "descoped": "What the agent read since makes this tool too risky here: begin a new session or ask a person.",
    "tool_changed": "The tool is not the one that was approved: an operator reviews it with `did-agent tool diff`.",
    "tool_not_approved": "An operator approves the tool: `did-agent tool approve`.",
    "method_not_allowed": "Use a method that the guard lets through, or have it added to its settings.",
    "session_unknown": "Begin a new session; this one is over or another caller's.",
    "no_longer_admitted": "What the stream was opened with has ended: open it again with a fresh token.",
    "refresh_token_reused": "Somebody used a refresh token twice, so the whole grant ended: sign in again.",
    "wrong_password": "Sign in with the right password, or have it set anew.",
    "no_local_accounts": "Sign in with the company's provider; passwords are not taken here.",
    "too_many_attempts": "Wait some minutes before the next sign-in.",
}

ERROR_REMEDIES: Final[Mapping[str, str]] = MappingProxyType({**_READING, **_BELIEVING, **_ALLOWING, **_FINDING_OUT})
POLICY_REMEDIES: Final[Mapping[str, str]] = MappingProxyType(_POLICY)


def remedy(code: str) -> str:
    """Return what to do about a refusal with this code; something true where the code is not known."""
    return ERROR_REMEDIES.get(code) or POLICY_REMEDIES.get(code) or "Ask whoever runs this deployment what it means."
