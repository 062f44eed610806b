"""What could not be read."""

from __future__ import annotations

from did_agent.errors.families import Malformed


class NotJSON(Malformed):
    code = "not_json"
    public = "The body is not valid JSON."


class DuplicateMember(Malformed):
    code = "duplicate_member"
    public = "A JSON object names the same member twice."


class TooDeep(Malformed):
    code = "too_deep"
    public = "The JSON is nested too deeply."


class TooLarge(Malformed):
    code = "limit_exceeded"
    public = "A size limit was exceeded."


class BadEncoding(Malformed):
    code = "bad_encoding"
    public = "A value is not in its canonical encoding."


class BadKey(Malformed):
    code = "bad_key"
    public = "A key is not a valid public key."


class BadDID(Malformed):
    code = "invalid_did"
    public = "The DID is not valid."


class BadDIDDocument(Malformed):
    code = "invalid_did_document"
    public = "The DID document is not valid."


class BadJOSE(Malformed):
    code = "bad_jose"
    public = "The signed token could not be read."


class UnknownEvent(Malformed):
    code = "unknown_event"
    public = "The security event is of a kind that is not known here."


class BadProof(Malformed):
    code = "bad_proof"
    public = "The proof could not be read."


class UnknownContext(Malformed):
    code = "unknown_context"
    public = "The document uses a JSON-LD context that is not accepted."


class DataLoss(Malformed):
    code = "data_loss"
    public = "A member of the document has no meaning under its context, so a proof would not cover it."


class TooComplex(Malformed):
    code = "too_complex"
    public = "The document costs more to canonicalize than a document may."


class BadTimestamp(Malformed):
    code = "bad_timestamp"
    public = "A date and time is not an RFC 3339 timestamp with zone."


class BadCredential(Malformed):
    code = "malformed_credential"
    public = "The credential does not follow its schema."


class StatusListTooShort(Malformed):
    code = "status_list_too_short"
    public = "The status list has too few entries to hide its holders."


class StatusIndexOutOfRange(Malformed):
    code = "status_index_out_of_range"
    public = "The status list has no entry at this index."


class BadConstraint(Malformed):
    code = "unknown_constraint"
    public = "A capability names a constraint that is unknown or malformed."


class BadPresentation(Malformed):
    code = "malformed_presentation"
    public = "The presentation could not be read."


class BadEvent(Malformed):
    code = "malformed_event"
    public = "The audit event does not follow its schema."


class BadPolicy(Malformed):
    code = "malformed_policy"
    public = "The policy does not follow its schema."


class InvalidParameter(Malformed):
    code = "invalid_parameter"
    public = "A parameter has a value that is not allowed."


class MissingParameter(Malformed):
    code = "missing_parameter"
    public = "A required parameter is missing."


class RepeatedParameter(Malformed):
    code = "repeated_parameter"
    public = "A parameter was sent more than once."


class WrongContentType(Malformed):
    code = "wrong_content_type"
    public = "The content type is not accepted here."


class BadClientMetadata(Malformed):
    code = "invalid_client_metadata"
    public = "The client cannot be registered as it describes itself."


class BadRedirectURI(Malformed):
    code = "invalid_redirect_uri"
    public = "A redirect URI cannot be registered."


class UnsupportedGrantType(Malformed):
    code = "unsupported_grant_type"
    public = "This grant type is not offered."


class BadBindingMessage(Malformed):
    code = "invalid_binding_message"
    public = "The message is too long, or more than one line of plain text."


class UnsupportedDetails(Malformed):
    code = "unsupported_details"
    public = "These authorization details are not accepted here."
