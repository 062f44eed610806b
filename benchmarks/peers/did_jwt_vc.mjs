// did-jwt-vc: VC-JWT of the data model 1.1, the only one it knows; presentation and credential are its own.
import {
  createVerifiableCredentialJwt, createVerifiablePresentationJwt, verifyCredential, verifyPresentation,
} from 'did-jwt-vc';
import {EdDSASigner} from 'did-jwt';
import {Resolver} from 'did-resolver';
import {material, require, serve} from './protocol.mjs';

// A did:key says everything itself; kept once made, as our own resolution is.
const documents = new Map();
function didKeyDocument(did) {
  if(!documents.has(did)) {
    const id = `${did}#${did.slice('did:key:'.length)}`;
    const method = {id, type: 'Ed25519VerificationKey2020', controller: did, publicKeyMultibase: id.split('#')[1]};
    documents.set(did, {
      id: did, verificationMethod: [method], authentication: [id], assertionMethod: [id],
    });
  }
  return {didDocument: documents.get(did), didResolutionMetadata: {}, didDocumentMetadata: {}};
}
const resolver = new Resolver({key: async (did) => didKeyDocument(did)});

const party = (did, seed) => ({did, signer: EdDSASigner(Buffer.from(seed, 'base64url')), alg: 'EdDSA'});
const issuer = party(material.issuer, material.issuerSeed);
const holder = party(material.holder, material.holderSeed);
const {id, type, '@context': _, ...subject} = material.credential.credentialSubject;

const issue = () => createVerifiableCredentialJwt({
  sub: material.holder,
  nbf: Math.floor(Date.parse(material.credential.validFrom) / 1000),
  exp: Math.floor(Date.parse(material.credential.validUntil) / 1000),
  vc: {
    '@context': ['https://www.w3.org/2018/credentials/v1'],
    type: ['VerifiableCredential', 'AgentCapabilityCredential'],
    credentialSubject: subject,
  },
}, issuer);

const shown = await createVerifiablePresentationJwt({
  vp: {
    '@context': ['https://www.w3.org/2018/credentials/v1'],
    type: ['VerifiablePresentation'],
    verifiableCredential: [await issue()],
  },
}, holder, {domain: material.audience, challenge: material.challenge});

async function verify() {
  const options = {domain: material.audience, challenge: material.challenge};
  const {verified, verifiablePresentation} = await verifyPresentation(shown, resolver, options);
  require(verified, 'the presentation');
  // Verifying a presentation leaves its credentials unverified.
  for(const credential of verifiablePresentation.verifiableCredential) {
    require((await verifyCredential(credential.proof.jwt, resolver)).verified, 'the credential');
  }
}

await serve({'verify jwt': verify, 'issue jwt': issue});
