// node oidc-provider as a token endpoint: client_credentials with private_key_jwt, JWT access tokens for one resource.
// Its one argument is JSON: {"port", "client_id", "jwk", "resource"}.  State is in its default in-memory adapter.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const given = JSON.parse(process.argv[2]);
const signing = { ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }), kid: 'bench', use: 'sig', alg: 'EdDSA' };
const provider = new Provider(`http://127.0.0.1:${given.port}`, {
  clients: [{
    client_id: given.client_id,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'EdDSA',
    id_token_signed_response_alg: 'EdDSA',
    jwks: { keys: [given.jwk] },
  }],
  jwks: { keys: [signing] },
  cookies: { keys: ['only for a benchmark'] },
  scopes: ['tool:list_menu'],
  enabledJWA: {
    clientAuthSigningAlgValues: ['EdDSA'],
    idTokenSigningAlgValues: ['EdDSA'],
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => given.resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'tool:list_menu', audience: given.resource, accessTokenFormat: 'jwt', accessTokenTTL: 300,
        jwt: { sign: { alg: 'EdDSA' } },
      }),
    },
  },
  ttl: { ClientCredentials: 300 },
});
createServer(provider.callback()).listen(given.port, '127.0.0.1');
