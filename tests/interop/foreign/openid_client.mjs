// openid-client, unmodified: discovery, code (pushed or not) and client credentials, with DPoP where asked.
import { importPKCS8 } from 'jose';
import * as oidc from 'openid-client';
import { callTool, finish, given, openPage } from './exchange.mjs';

const methods = {
  none: () => oidc.None(),
  client_secret_basic: () => oidc.ClientSecretBasic(given.client_secret),
  client_secret_post: () => oidc.ClientSecretPost(given.client_secret),
  private_key_jwt: async () => oidc.PrivateKeyJwt(await importPKCS8(given.private_key, 'Ed25519')),
};
const config = await oidc.discovery(
  new URL(given.issuer), given.client_id, {}, await methods[given.auth_method](),
  { algorithm: 'oauth2', execute: [oidc.allowInsecureRequests] },
);
const options = given.dpop ? { DPoP: oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair(given.dpop)) } : undefined;

const byCode = async () => {
  const verifier = oidc.randomPKCECodeVerifier();
  const state = oidc.randomState();
  const asked = {
    redirect_uri: given.redirect_uri, resource: given.resource, state, ...given.ask,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  };
  const url = given.pushed
    ? await oidc.buildAuthorizationUrlWithPAR(config, asked, options) : oidc.buildAuthorizationUrl(config, asked);
  const checks = { pkceCodeVerifier: verifier, expectedState: state };
  return oidc.authorizationCodeGrant(config, await openPage(url), checks, { resource: given.resource }, options);
};

const tokens = given.flow === 'code'
  ? await byCode() : await oidc.clientCredentialsGrant(config, { resource: given.resource }, options);
const authenticated = (url, { method, body, headers }) =>
  oidc.fetchProtectedResource(config, tokens.access_token, new URL(url), method ?? 'GET', body, new Headers(headers), options);
finish({ ...(await callTool(authenticated)), token_type: tokens.token_type });
