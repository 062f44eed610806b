// @digitalbazaar/vc with its Data Integrity cryptosuites, reading the very presentations that we read.
import * as Ed25519Multikey from '@digitalbazaar/ed25519-multikey';
import * as didKey from '@digitalbazaar/did-method-key';
import * as jcs from '@digitalbazaar/eddsa-jcs-2022-cryptosuite';
import * as vc from '@digitalbazaar/vc';
import {DataIntegrityProof} from '@digitalbazaar/data-integrity';
import {cryptosuite as rdfc} from '@digitalbazaar/eddsa-rdfc-2022-cryptosuite';
import jsigs from 'jsonld-signatures';
import {material, require, serve} from './protocol.mjs';

const driver = didKey.driver();
driver.use({multibaseMultikeyHeader: 'z6Mk', fromMultibase: Ed25519Multikey.from});

const capability = 'https://w3id.org/did-agent/capability/v1';
const resolved = new Map();
const documentLoader = jsigs.extendContextLoader(async (url) => {
  if(url === capability) {
    return {documentUrl: url, document: material.capabilityContext};
  }
  if(url.startsWith('did:key:')) {
    // Kept, as our own resolution is.
    if(!resolved.has(url)) {
      resolved.set(url, await driver.get({url}));
    }
    return {documentUrl: url, document: resolved.get(url)};
  }
  return vc.defaultDocumentLoader(url);
});

const key = await Ed25519Multikey.generate({seed: Buffer.from(material.issuerSeed, 'base64url')});
key.id = `${material.issuer}#${material.issuer.slice('did:key:'.length)}`;
key.controller = material.issuer;

const verifySuites = {
  jcs: () => new DataIntegrityProof({cryptosuite: jcs.createVerifyCryptosuite()}),
  rdfc: () => new DataIntegrityProof({cryptosuite: rdfc}),
};
const signSuites = {
  jcs: () => new DataIntegrityProof({cryptosuite: jcs.createSignCryptosuite(), signer: key.signer()}),
  rdfc: () => new DataIntegrityProof({cryptosuite: rdfc, signer: key.signer()}),
};

async function verify(name) {
  const {verified, error} = await vc.verify({
    presentation: structuredClone(material.presentations[name]),
    challenge: material.challenge,
    domain: material.audience,
    suite: verifySuites[name](),
    documentLoader,
  });
  require(verified, JSON.stringify(error));
}

async function issue(name) {
  const credential = structuredClone(material.credential);
  const secured = await vc.issue({credential, suite: signSuites[name](), documentLoader});
  require(secured.proof.proofValue, 'no proof');
}

await serve({
  'verify jcs': () => verify('jcs'),
  'verify rdfc': () => verify('rdfc'),
  'issue jcs': () => issue('jcs'),
  'issue rdfc': () => issue('rdfc'),
});
