// @digitalbazaar/vc and its cryptosuites: issue, present, and verify both.
import * as EcdsaMultikey from '@digitalbazaar/ecdsa-multikey';
import * as Ed25519Multikey from '@digitalbazaar/ed25519-multikey';
import * as didKey from '@digitalbazaar/did-method-key';
import * as jcs from '@digitalbazaar/eddsa-jcs-2022-cryptosuite';
import * as vc from '@digitalbazaar/vc';
import {DataIntegrityProof} from '@digitalbazaar/data-integrity';
import {cryptosuite as ecdsa} from '@digitalbazaar/ecdsa-rdfc-2019-cryptosuite';
import {cryptosuite as rdfc} from '@digitalbazaar/eddsa-rdfc-2022-cryptosuite';
import {answer, world} from './line.mjs';

const suites = {
  'eddsa-jcs-2022': {sign: jcs.createSignCryptosuite, verify: jcs.createVerifyCryptosuite, keys: Ed25519Multikey},
  'eddsa-rdfc-2022': {sign: () => rdfc, verify: () => rdfc, keys: Ed25519Multikey},
  'ecdsa-rdfc-2019': {sign: () => ecdsa, verify: () => ecdsa, keys: EcdsaMultikey},
};

const driver = didKey.driver();
driver.use({multibaseMultikeyHeader: 'z6Mk', fromMultibase: Ed25519Multikey.from});
driver.use({multibaseMultikeyHeader: 'zDna', fromMultibase: EcdsaMultikey.from});
driver.use({multibaseMultikeyHeader: 'z82L', fromMultibase: EcdsaMultikey.from});

async function documentLoader(url) {
  if(url.startsWith('did:key:')) {
    return {documentUrl: url, document: await driver.get({url})};
  }
  if(!(url in world.contexts)) {
    throw new Error(`there is no network, and ${url} is not at hand`);
  }
  return {documentUrl: url, document: world.contexts[url]};
}

async function signing({suite, did, secretKeyMultibase, created}) {
  const publicKeyMultibase = did.slice('did:key:'.length);
  const id = `${did}#${publicKeyMultibase}`;
  const key = await suites[suite].keys.from(
    {type: 'Multikey', id, controller: did, publicKeyMultibase, secretKeyMultibase});
  return new DataIntegrityProof({cryptosuite: suites[suite].sign(), signer: key.signer(), date: created});
}

function outcome({verified, error, credentialResults}) {
  const all = [error, ...(error?.errors ?? []), ...(credentialResults ?? []).map(({error}) => error)];
  return {verified, why: all.filter(Boolean).map(({message}) => message)};
}

const verifying = (suite) => new DataIntegrityProof({cryptosuite: suites[suite].verify()});

await answer({
  async issue({credential, now, ...key}) {
    return vc.issue({credential, suite: await signing({...key, created: now}), documentLoader, now});
  },
  async present({presentation, challenge, domain, now, ...key}) {
    const suite = await signing({...key, created: now});
    return vc.signPresentation({presentation, suite, challenge, domain, documentLoader});
  },
  async verify({credential, suite, now}) {
    return outcome(await vc.verifyCredential({credential, suite: verifying(suite), documentLoader, now}));
  },
  async verifyPresentation({presentation, suite, challenge, domain, now}) {
    return outcome(await vc.verify(
      {presentation, challenge, domain, suite: verifying(suite), documentLoader, now}));
  },
});
