"""Authlib's authorization server under Flask: client_credentials with private_key_jwt, JWT access tokens.

Settings come as JSON in BENCH_GIVEN: port, client_id, jwk, resource, database.  The `jti` of each assertion is kept in
SQLite, synced at every commit, as the one under test keeps it.  Tokens are signed with ES256; it makes none with EdDSA.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, InvalidClientError, grants
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from flask import Flask
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

GIVEN = json.loads(os.environ["BENCH_GIVEN"])
ISSUER = f"http://127.0.0.1:{GIVEN['port']}"
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
KEY = ECKey.generate_key("P-256", parameters={"kid": "bench", "alg": "ES256", "use": "sig"})


class Client(ClientMixin):
    """The one client."""

    def get_client_id(self) -> str:
        return str(GIVEN["client_id"])

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method == "private_key_jwt"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "client_credentials"

    def get_allowed_scope(self, scope: str) -> str:
        return scope


CLIENT = Client()
CLIENT_KEY = OKPKey.import_key({**GIVEN["jwk"], "alg": "EdDSA"})
database = sqlite3.connect(GIVEN["database"], isolation_level=None, check_same_thread=False)
for pragma in ("journal_mode=WAL", "synchronous=FULL"):
    database.execute(f"PRAGMA {pragma}")
database.execute("CREATE TABLE IF NOT EXISTS used (jti TEXT PRIMARY KEY, at INTEGER)")


class Assertions(JWTBearerClientAssertion):
    """The client's proof of its key."""

    CLIENT_AUTH_METHOD = "private_key_jwt"

    def get_audiences(self) -> list[str]:
        return [ISSUER]

    def validate_jti(self, _claims: Any, jti: str) -> bool:
        try:
            database.execute("INSERT INTO used VALUES (?, ?)", (jti, int(time.monotonic())))
        except sqlite3.IntegrityError:
            return False
        return True

    def process_assertion_claims(self, assertion: str, resolve_key: Any) -> Any:
        try:
            token = jwt.decode(assertion, resolve_key, algorithms=["EdDSA"])
        except JoseError as error:
            raise InvalidClientError(description=str(error)) from error
        self.verify_claims(token.claims)
        return token.claims

    def resolve_client_public_key(self, _client: Any) -> Any:
        return CLIENT_KEY


class Tokens(JWTBearerTokenGenerator):
    """Access tokens after RFC 9068."""

    def get_jwks(self) -> Any:
        return KEY

    def get_audiences(self, _client: Any, _user: Any, _scope: Any) -> str:
        return str(GIVEN["resource"])


class ClientCredentials(grants.ClientCredentialsGrant):
    """With keys alone."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("private_key_jwt",)


app = Flask("bench")
app.config["OAUTH2_TOKEN_EXPIRES_IN"] = {"client_credentials": 300}
server = AuthorizationServer(app, query_client=lambda _id: CLIENT, save_token=lambda _token, _request: None)
server.register_client_auth_method("private_key_jwt", Assertions())
server.register_token_generator("default", Tokens(issuer=ISSUER, alg="ES256"))
server.register_grant(ClientCredentials)


@app.post("/token")
def token() -> Any:
    """The token endpoint."""
    return server.create_token_response()
