// Credo: vp+jwt with a vc+jwt inside (data model 2.0), made by us.  Storage and key service are the least it starts
// with; signatures are verified by Node's own OpenSSL.
import 'reflect-metadata';
import {createPublicKey, randomBytes, verify as verifySignature} from 'node:crypto';
import {EventEmitter} from 'node:events';
import {Agent, ConsoleLogger, InjectionSymbols, LogLevel, W3cV2JwtVerifiablePresentation} from '@credo-ts/core';
import {KeyManagementModule} from '@credo-ts/core/kms';
import {material, require, serve} from './protocol.mjs';

const keys = {
  backend: 'openssl',
  isOperationSupported: (_context, {operation}) => operation === 'verify' || operation === 'randomBytes',
  randomBytes: (_context, {length}) => randomBytes(length),
  async getPublicKey() {
    return null;
  },
  async verify(_context, {key, data, signature}) {
    const publicKey = createPublicKey({key: key.publicJwk, format: 'jwk'});
    return verifySignature(null, data, publicKey, signature)
      ? {verified: true, publicJwk: key.publicJwk} : {verified: false};
  },
};

class Files {}
class Storage {
  records = new Map();
  async save(_context, record) {
    this.records.set(record.id, record);
  }
  async update(_context, record) {
    this.records.set(record.id, record);
  }
  async getById(_context, _type, id) {
    return this.records.get(id);
  }
  async findByQuery() {
    return [];
  }
}

const agent = new Agent({
  config: {logger: new ConsoleLogger(LogLevel.off), autoUpdateStorageOnStartup: true},
  dependencies: {FileSystem: Files, EventEmitterClass: EventEmitter, fetch, WebSocketClass: Object},
  modules: {
    keyManagement: new KeyManagementModule({backends: [keys]}),
    storage: {register: (manager) => manager.registerInstance(InjectionSymbols.StorageService, new Storage())},
  },
});

async function verify() {
  const result = await agent.w3cV2Credentials.verifyPresentation({
    presentation: W3cV2JwtVerifiablePresentation.fromCompact(material.envelopedJwt),
    challenge: material.challenge,
    domain: material.audience,
  });
  require(result.isValid, JSON.stringify(result, (_name, value) => value instanceof Error ? value.message : value));
}

await serve({'verify jwt': verify});
