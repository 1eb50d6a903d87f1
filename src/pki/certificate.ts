/**
 * Certificates: the self-signed authority, the leaves it issues in two fixed profiles, and the
 * facts read from any certificate. Source of truth: RFC 5280 section 4. Floor 1.
 */
import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';
import {
  chooseAlgorithm,
  digestOf,
  encodeAlgorithm,
  type SignatureAlgorithm,
} from './algorithm.ts';
import { createServerNames, createUriName, readAlternativeNames } from './alternative-name.ts';
import {
  createExplicit,
  createOctetString,
  createSequence,
  graftDer,
  type Node,
  writeDer,
} from './asn1.ts';
import { refuseMalformed } from './der.ts';
import {
  createAuthorityKeyIdentifier,
  createBasicConstraints,
  createExtendedKeyUsage,
  createExtension,
  createKeyUsage,
  EXTENSION,
  readExtendedKeyUsage,
  readIsAuthority,
} from './extension.ts';
import { checkPublicKey, encodePublicKey, loadPublicKey, publicKeyIdentifier } from './key.ts';
import { decodeName, encodeName, type Subject } from './name.ts';
import { readParts } from './parts.ts';
import { readDer, writePem } from './pem.ts';
import { checkSerial, createInteger } from './serial.ts';
import {
  type AuthorityKey,
  CERTIFICATE_PEM,
  createSigned,
  readIssuer,
  type Signer,
  signBody,
} from './signer.ts';
import { checkPeriod, createTime } from './time.ts';

/** Whole seconds; both ends belong to it. RFC 5280 section 4.1.2.5. */
export interface Validity {
  notBefore: Date;
  notAfter: Date;
}

/** What the certificate is for; `names` are DNS names and IP addresses. */
export type Profile = { kind: 'client'; uri: string } | { kind: 'server'; names: string[] };

export interface LeafRequest extends Validity {
  publicKey: KeyObject;
  subject: Subject;
  serial: string;
  profile: Profile;
}

export interface CertificateFacts extends Validity {
  /** Canonical spelling, as serial.ts has it. */
  serial: string;
  subject: Subject;
  issuer: Subject;
  /** SHA-256 of the DER, lower-case hexadecimal. */
  fingerprint: string;
  der: Uint8Array;
  pem: string;
  publicKey: KeyObject;
  isAuthority: boolean;
  /** 'clientAuth', 'serverAuth', 'anyExtendedKeyUsage'; dotted OIDs for all others. */
  extendedKeyUsage: string[];
  uris: string[];
  dnsNames: string[];
  /** As RFC 5952 spells them. */
  ipAddresses: string[];
  emails: string[];
}

interface Body extends Validity {
  serial: string;
  /** DER of the issuer's name. */
  issuer: Node;
  subject: Subject;
  publicKey: KeyObject;
  extensions: Node[];
}

/** TBSCertificate, version 3. RFC 5280 section 4.1.2. */
function createBody(body: Body, algorithm: Node): Node {
  checkSerial(body.serial);
  checkPeriod(body.notBefore, body.notAfter, 'The validity of the certificate');
  return createSequence(
    createExplicit(0, createInteger('2')),
    createInteger(body.serial),
    algorithm,
    body.issuer,
    createSequence(createTime(body.notBefore), createTime(body.notAfter)),
    encodeName(body.subject),
    graftDer(encodePublicKey(body.publicKey)),
    createExplicit(3, createSequence(...body.extensions)),
  );
}

const createSubjectKeyIdentifier = (key: KeyObject): Node =>
  createExtension(
    EXTENSION.subjectKeyIdentifier,
    false,
    createOctetString(publicKeyIdentifier(key)),
  );

/**
 * A self-signed CA that signs leaves and revocation lists and nothing else: PEM.
 * @param key the private key.
 * @throws RefusalError INPUT_INVALID, KEY_UNACCEPTABLE
 */
export function createAuthority(
  key: KeyObject,
  subject: Subject,
  serial: string,
  validity: Validity,
): string {
  const { body, algorithm } = createAuthorityBody(createPublicKey(key), subject, serial, validity);
  const signature = sign(digestOf(algorithm), writeDer(body), key);
  return writePem('CERTIFICATE', createSigned(body, algorithm, signature));
}

/**
 * The same for a key wherever it is.
 * @throws RefusalError INPUT_INVALID, KEY_UNACCEPTABLE, SIGNER_FAILED
 */
export async function createAuthorityWith(
  key: AuthorityKey,
  subject: Subject,
  serial: string,
  validity: Validity,
): Promise<string> {
  const { body, algorithm } = createAuthorityBody(key.publicKey, subject, serial, validity);
  return writePem('CERTIFICATE', createSigned(body, algorithm, await key.sign(writeDer(body))));
}

function createAuthorityBody(
  publicKey: KeyObject,
  subject: Subject,
  serial: string,
  validity: Validity,
): { body: Node; algorithm: SignatureAlgorithm } {
  checkPublicKey(publicKey);
  const algorithm = chooseAlgorithm(publicKey);
  const extensions = [
    createBasicConstraints(true),
    createKeyUsage('keyCertSign', 'cRLSign'),
    createSubjectKeyIdentifier(publicKey),
  ];
  const issuer = encodeName(subject);
  const body = createBody(
    { ...validity, serial, issuer, subject, publicKey, extensions },
    encodeAlgorithm(algorithm),
  );
  return { body, algorithm };
}

/**
 * A leaf for one purpose: PEM. Everything in it comes from the arguments.
 * @throws RefusalError INPUT_INVALID, KEY_UNACCEPTABLE
 */
export async function issueCertificate(signer: Signer, request: LeafRequest): Promise<string> {
  const { publicKey, profile } = request;
  checkPublicKey(publicKey);
  const issuer = readIssuer(signer);
  const extensions = [
    createBasicConstraints(false),
    createKeyUsage('digitalSignature'),
    createExtendedKeyUsage(profile.kind === 'client' ? 'clientAuth' : 'serverAuth'),
    createSubjectKeyIdentifier(publicKey),
    createAuthorityKeyIdentifier(issuer.keyIdentifier),
    profile.kind === 'client' ? createUriName(profile.uri) : createServerNames(profile.names),
  ];
  const body = createBody(
    { ...request, issuer: graftDer(issuer.name), extensions },
    encodeAlgorithm(signer.algorithm),
  );
  return writePem('CERTIFICATE', await signBody(signer, body));
}

/**
 * Of one certificate; the signature is not judged (see verify.ts).
 * @throws RefusalError INPUT_INVALID, KEY_UNACCEPTABLE
 */
export function readCertificate(pemOrDer: string | Uint8Array): CertificateFacts {
  const der = readDer(pemOrDer, CERTIFICATE_PEM);
  return refuseMalformed('INPUT_INVALID', 'The certificate', () => {
    const { serial, subject, issuer, notBefore, notAfter, publicKey, extensions } = readParts(der);
    return {
      serial,
      subject: decodeName(subject),
      issuer: decodeName(issuer),
      notBefore,
      notAfter,
      fingerprint: createHash('sha256').update(der).digest('hex'),
      der,
      pem: writePem('CERTIFICATE', der),
      publicKey: loadPublicKey(publicKey),
      isAuthority: readIsAuthority(extensions),
      extendedKeyUsage: readExtendedKeyUsage(extensions),
      ...readAlternativeNames(extensions),
    };
  });
}
