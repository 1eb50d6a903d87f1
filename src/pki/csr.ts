/**
 * Certificate requests: of what is asked only the public key counts, once the sender has shown
 * that the private key is theirs. Source of truth: RFC 2986 section 4. Floor 1.
 */
import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { RefusalError } from '../errors.ts';
import { chooseAlgorithm, digestOf, findSignatureFault } from './algorithm.ts';
import { createNode, createSequence, graftDer, writeDer } from './asn1.ts';
import { bytesOf, Children, contextTag, MalformedDer, refuseMalformed, TAG } from './der.ts';
import { checkPublicKey, encodePublicKey, readPublicKey } from './key.ts';
import { encodeName, type Subject } from './name.ts';
import { readSigned } from './parts.ts';
import { type PemKind, readDer, writePem } from './pem.ts';
import { createInteger, readInteger } from './serial.ts';
import { createSigned } from './signer.ts';

const REQUEST_PEM: PemKind = {
  labels: ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'],
  maxBytes: 64 * 1024,
  what: 'certificate request',
  code: 'CSR_MALFORMED',
};

const ATTRIBUTES = contextTag(0, true);

/**
 * The key of a request, its proof of possession verified; name, attributes and extensions are
 * not looked at.
 * @throws RefusalError CSR_MALFORMED, KEY_UNACCEPTABLE
 */
export function readRequest(pemOrDer: string | Uint8Array): { publicKey: KeyObject } {
  const der = readDer(pemOrDer, REQUEST_PEM);
  return refuseMalformed('CSR_MALFORMED', 'The certificate request', () => {
    const { body, algorithm, signature } = readSigned(der, 'certificate request');
    const parts = new Children(body);
    if (readInteger(parts.next('version'), 'version') !== '0') {
      throw new MalformedDer('it is of an unknown version');
    }
    parts.next('subject', TAG.sequence);
    const publicKey = readPublicKey(bytesOf(parts.next('public key', TAG.sequence)));
    parts.optional(ATTRIBUTES);
    parts.finish('certificate request body');
    const fault = findSignatureFault(algorithm, publicKey, bytesOf(body), signature);
    if (fault !== undefined) {
      throw new RefusalError('CSR_MALFORMED', `The certificate request is refused: ${fault}.`);
    }
    return { publicKey };
  });
}

/**
 * A request without attributes: PEM.
 * @param key the private key.
 * @throws RefusalError INPUT_INVALID, KEY_UNACCEPTABLE
 */
export function createRequest(key: KeyObject, subject: Subject): string {
  const publicKey = createPublicKey(key);
  checkPublicKey(publicKey);
  const algorithm = chooseAlgorithm(publicKey);
  const body = createSequence(
    createInteger('0'),
    encodeName(subject),
    graftDer(encodePublicKey(publicKey)),
    createNode(ATTRIBUTES, []),
  );
  const signature = sign(digestOf(algorithm), writeDer(body), key);
  return writePem('CERTIFICATE REQUEST', createSigned(body, algorithm, signature));
}
