// jose for vc+jwt and vp+jwt of the data model 2.0, did-jwt-vc for the JWTs of 1.1.
import {ES256Signer, EdDSASigner} from 'did-jwt';
import {createVerifiableCredentialJwt, createVerifiablePresentationJwt} from 'did-jwt-vc';
import {SignJWT, importJWK, jwtVerify} from 'jose';
import {answer} from './line.mjs';

function issuer({did, jwk}) {
  const secret = Buffer.from(jwk.d, 'base64url');
  return jwk.kty === 'OKP'
    ? {did, signer: EdDSASigner(secret), alg: 'EdDSA'} : {did, signer: ES256Signer(secret), alg: 'ES256'};
}

await answer({
  async sign({payload, header, jwk}) {
    return new SignJWT(payload).setProtectedHeader(header).sign(await importJWK(jwk, header.alg));
  },
  async verify({token, jwk, alg, typ, now}) {
    const options = {typ, algorithms: [alg], currentDate: new Date(now)};
    return (await jwtVerify(token, await importJWK(jwk, alg), options)).payload;
  },
  async issueOld({payload, ...key}) {
    return createVerifiableCredentialJwt(payload, issuer(key));
  },
  async presentOld({payload, domain, challenge, ...key}) {
    return createVerifiablePresentationJwt(payload, issuer(key), {domain, challenge});
  },
});
