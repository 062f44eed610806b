// The MCP SDK for TypeScript, unmodified: the older package and the newer, by code and by key.
import { randomBytes } from 'node:crypto';
import { finish, given, openPage, outcomeOf } from './exchange.mjs';

const older = given.package === 'sdk';
const { Client } = older ? await import('@modelcontextprotocol/sdk/client/index.js') : await import('@modelcontextprotocol/client');
const { StreamableHTTPClientTransport } = older
  ? await import('@modelcontextprotocol/sdk/client/streamableHttp.js') : await import('@modelcontextprotocol/client');
const { PrivateKeyJwtProvider } = older
  ? await import('@modelcontextprotocol/sdk/client/auth-extensions.js') : await import('@modelcontextprotocol/client');

class Person {
  constructor() { this.expected = randomBytes(16).toString('hex'); }
  get redirectUrl() { return given.redirect_uri; }
  get clientMetadata() {
    return { client_name: 'Foreign', redirect_uris: [given.redirect_uri], token_endpoint_auth_method: given.auth_method };
  }
  state() { return this.expected; }
  clientInformation() {
    return {
      client_id: given.client_id, client_secret: given.client_secret, redirect_uris: [given.redirect_uri],
      token_endpoint_auth_method: given.auth_method, issuer: given.issuer,
    };
  }
  tokens() { return this.kept; }
  saveTokens(tokens) { this.kept = tokens; }
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  codeVerifier() { return this.verifier; }
  saveDiscoveryState(state) { this.found = state; }
  discoveryState() { return this.found; }
  async redirectToAuthorization(url) { this.answer = await openPage(url); }
}

const connect = async (provider) => {
  const client = new Client({ name: 'foreign', version: '1' });
  const transport = new StreamableHTTPClientTransport(new URL(given.resource), { authProvider: provider });
  return { transport, client, connected: client.connect(transport) };
};

if (given.flow === 'key') {
  const provider = new PrivateKeyJwtProvider({
    clientId: given.client_id, privateKey: given.private_key, algorithm: given.algorithm, expectedIssuer: given.issuer,
  });
  const { client, connected } = await connect(provider);
  await connected;
  finish({ ...(await outcomeOf(client)), token_type: provider.tokens().token_type });
}

const person = new Person();
const first = await connect(person);
await first.connected.then(() => { throw new Error('connected without a token'); }, () => undefined);
if (person.answer.searchParams.get('state') !== person.expected) throw new Error('state');
await (older ? first.transport.finishAuth(person.answer.searchParams.get('code')) : first.transport.finishAuth(person.answer.searchParams));
const second = await connect(person);
await second.connected;
finish({ ...(await outcomeOf(second.client)), token_type: person.tokens().token_type });
