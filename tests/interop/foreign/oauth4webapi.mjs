// oauth4webapi, unmodified: metadata of the resource and of its server, code and client credentials, DPoP where asked.
import { importPKCS8 } from 'jose';
import * as oauth from 'oauth4webapi';
import { callTool, finish, given, openPage } from './exchange.mjs';

const plain = { [oauth.allowInsecureRequests]: true };
const resource = new URL(given.resource);
const described = await oauth.processResourceDiscoveryResponse(resource, await oauth.resourceDiscoveryRequest(resource, plain));
const issuer = new URL(described.authorization_servers[0]);
const server = await oauth.processDiscoveryResponse(
  issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...plain }),
);
const client = { client_id: given.client_id };
const methods = {
  none: () => oauth.None(),
  client_secret_basic: () => oauth.ClientSecretBasic(given.client_secret),
  client_secret_post: () => oauth.ClientSecretPost(given.client_secret),
  private_key_jwt: async () => oauth.PrivateKeyJwt(await importPKCS8(given.private_key, 'Ed25519')),
};
const authentication = await methods[given.auth_method]();
const options = given.dpop
  ? { ...plain, DPoP: oauth.DPoP(client, await oauth.generateKeyPair(given.dpop)) } : plain;

const repeated = async (request) => {
  try {
    return await request();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return request();
  }
};

const byCode = async () => {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const url = new URL(server.authorization_endpoint);
  const asked = {
    response_type: 'code', client_id: given.client_id, redirect_uri: given.redirect_uri, resource: given.resource, state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...given.ask,
  };
  for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
  const parameters = oauth.validateAuthResponse(server, client, await openPage(url), state);
  return repeated(async () => oauth.processAuthorizationCodeResponse(server, client, await oauth.authorizationCodeGrantRequest(
    server, client, authentication, parameters, given.redirect_uri, verifier,
    { ...options, additionalParameters: { resource: given.resource } },
  )));
};

const byKey = () => repeated(async () => oauth.processClientCredentialsResponse(server, client, await oauth.clientCredentialsGrantRequest(
  server, client, authentication, { resource: given.resource }, options,
)));

const tokens = given.flow === 'code' ? await byCode() : await byKey();
const authenticated = (url, { method, body, headers }) =>
  oauth.protectedResourceRequest(tokens.access_token, method ?? 'GET', new URL(url), new Headers(headers), body, options);
finish({ ...(await callTool(authenticated)), token_type: tokens.token_type });
