// @openid4vc/openid4vci, unmodified: from an offer to credentials, by a code that came with it or by a person's sign-in.
import { createHash, randomBytes } from 'node:crypto';
import { clientAuthenticationNone, HashAlgorithm, setGlobalConfig } from '@openid4vc/oauth2';
import { Openid4vciClient } from '@openid4vc/openid4vci';
import { importJWK, SignJWT } from 'jose';
import { finish, given, openPage } from './exchange.mjs';

setGlobalConfig({ allowInsecureUrls: true });

const { d, ...publicJwk } = given.key;
const signJwt = async (signer, { header, payload }) => {
  const key = await importJWK(given.key, 'EdDSA');
  return { jwt: await new SignJWT(payload).setProtectedHeader(header).sign(key), signerJwk: publicJwk };
};
const names = { [HashAlgorithm.Sha256]: 'sha256', [HashAlgorithm.Sha384]: 'sha384', [HashAlgorithm.Sha512]: 'sha512' };
const client = new Openid4vciClient({
  callbacks: {
    fetch,
    hash: (data, algorithm) => createHash(names[algorithm]).update(data).digest(),
    generateRandom: (length) => randomBytes(length),
    clientAuthentication: clientAuthenticationNone({ clientId: given.client_id ?? 'wallet' }),
    signJwt,
  },
});

const credentialOffer = await client.resolveCredentialOffer(given.offer);
const issuerMetadata = await client.resolveIssuerMetadata(credentialOffer.credential_issuer);
const jwkSigner = { method: 'jwk', alg: 'EdDSA', publicJwk };
const dpop = given.dpop ? { signer: jwkSigner } : undefined;

const byCode = async () => {
  const scope = given.configurations
    .map((id) => issuerMetadata.credentialIssuer.credential_configurations_supported[id].scope).join(' ');
  const { authorizationRequestUrl, pkce } = await client.createAuthorizationRequestUrlFromOffer({
    credentialOffer, issuerMetadata, clientId: given.client_id, redirectUri: given.redirect_uri, scope,
  });
  const answer = await openPage(authorizationRequestUrl);
  return client.retrieveAuthorizationCodeAccessTokenFromOffer({
    credentialOffer, issuerMetadata, authorizationCode: answer.searchParams.get('code'),
    pkceCodeVerifier: pkce.codeVerifier, redirectUri: given.redirect_uri, dpop,
  });
};
const byOffer = () => client.retrievePreAuthorizedCodeAccessTokenFromOffer({
  credentialOffer, issuerMetadata, txCode: given.tx_code, dpop,
});
const { accessTokenResponse } = await (given.flow === 'code' ? byCode() : byOffer());
const accessToken = accessTokenResponse.access_token;

const signer = given.binding === 'jwk' ? jwkSigner : { method: 'did', alg: 'EdDSA', didUrl: given.did_url };
const proven = async (credentialConfigurationId) => {
  const { c_nonce: nonce } = await client.requestNonce({ issuerMetadata });
  const { jwt } = await client.createCredentialRequestJwtProof({ issuerMetadata, signer, credentialConfigurationId, nonce });
  return jwt;
};

const credentials = [];
let notified = 0;
let waited = 0;
for (const credentialConfigurationId of given.configurations) {
  const jwts = [];
  for (let made = 0; made < (given.copies ?? 1); made += 1) jwts.push(await proven(credentialConfigurationId));
  const { credentialResponse } = await client.retrieveCredentials({
    issuerMetadata, accessToken, credentialConfigurationId, proofs: { jwt: jwts }, dpop,
  });
  let answer = credentialResponse;
  while (answer.transaction_id) {
    if (waited === 0) await openPage(`waiting:${answer.interval}`);
    waited += 1;
    const { deferredCredentialResponse } = await client.retrieveDeferredCredentials({
      issuerMetadata, accessToken, transactionId: answer.transaction_id, dpop,
    });
    answer = deferredCredentialResponse;
  }
  credentials.push(...answer.credentials.map(({ credential }) => credential));
  if (answer.notification_id) {
    const notification = { notificationId: answer.notification_id, event: 'credential_accepted' };
    await client.sendNotification({ issuerMetadata, accessToken, notification, dpop });
    notified += 1;
  }
}
finish({ credentials, notified, token_type: accessTokenResponse.token_type, version: issuerMetadata.originalDraftVersion });
