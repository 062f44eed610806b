// @sd-jwt/sd-jwt-vc: issue, present with key binding, verify.
import {createHash, createPrivateKey, createPublicKey, randomBytes, sign, verify} from 'node:crypto';
import {SDJwtVcInstance} from '@sd-jwt/sd-jwt-vc';
import {answer} from './line.mjs';

const DIGESTS = {Ed25519: null, 'P-256': 'sha256'};
const NAMES = {Ed25519: 'EdDSA', 'P-256': 'ES256'};

const signer = (jwk) => (data) => sign(
  DIGESTS[jwk.crv], Buffer.from(data), {key: createPrivateKey({key: jwk, format: 'jwk'}), dsaEncoding: 'ieee-p1363'},
).toString('base64url');

const verifier = (jwk) => (data, signature) => verify(
  DIGESTS[jwk.crv], Buffer.from(data),
  {key: createPublicKey({key: jwk, format: 'jwk'}), dsaEncoding: 'ieee-p1363'}, Buffer.from(signature, 'base64url'),
);

const instance = ({issuer, holder}) => new SDJwtVcInstance({
  hashAlg: 'sha-256',
  hasher: (data) => createHash('sha256').update(Buffer.from(data)).digest(),
  saltGenerator: () => randomBytes(16).toString('base64url'),
  ...(issuer && {signAlg: NAMES[issuer.crv], signer: issuer.d && signer(issuer), verifier: verifier(issuer)}),
  ...(holder && {kbSignAlg: NAMES[holder.crv], kbSigner: signer(holder)}),
  kbVerifier: (data, signature, payload) => verifier(payload.cnf.jwk)(data, signature),
});

await answer({
  issue: ({claims, hidden, issuer, header}) => instance({issuer}).issue(claims, {_sd: hidden}, {header}),
  present: ({token, shown, binding, holder}) => instance({holder}).present(
    token, Object.fromEntries(shown.map((name) => [name, true])), {kb: {payload: binding}}),
  async verify({token, issuer, nonce, now}) {
    const {payload, kb} = await instance({issuer}).verify(token, {keyBindingNonce: nonce, currentDate: now});
    return {claims: payload, audience: kb?.payload.aud};
  },
});
