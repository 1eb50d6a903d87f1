/**
 * The readers under fuzz, and what must hold of each: it answers or throws a RefusalError, and what
 * it accepts OpenSSL reads too, with the same facts. Where a signature is judged, nothing is
 * accepted but what the key has signed.
 */
import { type KeyObject, sign, verify, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { RefusalError } from '../../src/errors.ts';
import { type CertificateFacts, readCertificate } from '../../src/pki/certificate.ts';
import { readCrl } from '../../src/pki/crl.ts';
import { readRequest } from '../../src/pki/csr.ts';
import { type PemKind, readDer, readPemBlocks, writePem } from '../../src/pki/pem.ts';
import { findFault } from '../../src/pki/verify.ts';
import { type Corpus, type Kind, loadKey, type Member } from './corpus.ts';
import { bendBytes, bendPem, bendTree, makeNoise } from './mutate.ts';
import type { Random } from './random.ts';
import { bendSignature } from './signature.ts';
import { copyTree, readTree, type Tree, writeTree } from './tree.ts';

/** Something that must not be; `input` is what was read. */
export class Finding extends Error {
  readonly input: string | Uint8Array;

  constructor(reason: string, input: string | Uint8Array) {
    super(reason);
    this.input = input;
  }
}

/** 'altered' was accepted with the signed part as it was, and something else changed. */
export type Verdict = 'accepted' | 'altered' | 'refused';

/** A member of the corpus, ready to be bent. */
interface Original extends Member {
  tree: Tree;
  privateKey: KeyObject;
  digest: string | undefined;
}

interface Sample {
  bytes: Uint8Array;
  original: Original;
  /** Signed anew after the change. */
  resigned: boolean;
}

export type Reader = (random: Random) => Verdict;

const LABELS: Record<Kind, string> = {
  certificate: 'CERTIFICATE',
  request: 'CERTIFICATE REQUEST',
  list: 'X509 CRL',
};
const ANY_PEM: PemKind = {
  labels: Object.values(LABELS),
  maxBytes: 64 * 1024,
  what: 'thing',
  code: 'INPUT_INVALID',
};
/** Once in so many accepted lists OpenSSL is asked too. */
const LISTS_COMPARED = 8;

/** Body, algorithm and signature of what was signed; throws where the frame is not one. */
function takeApart(tree: Tree): { body: Tree; rest: Tree[] } {
  const [body, ...rest] = tree.content instanceof Uint8Array ? [] : tree.content;
  if (body === undefined) throw new Error('the corpus holds something that is not signed');
  return { body, rest };
}

const signedBytes = (der: Uint8Array): string =>
  Buffer.from(writeTree(takeApart(readTree(der)).body)).toString('latin1');

function findDigest(member: Member, key: KeyObject): string | undefined {
  const { body, rest } = takeApart(readTree(member.der));
  const signature = rest[1]?.content;
  if (key.asymmetricKeyType === 'ed25519' || !(signature instanceof Uint8Array)) {
    if (key.asymmetricKeyType === 'ed25519') return undefined;
    // A signature by ECDSA is DER, so it is children here.
    const inside = writeTree({ ...(rest[1] as Tree), tag: 0x30 });
    return findWorking(writeTree(body), inside.subarray(inside.indexOf(0x30, 1)), key);
  }
  return findWorking(writeTree(body), signature.subarray(1), key);
}

function findWorking(body: Uint8Array, signature: Uint8Array, key: KeyObject): string {
  const works = ['sha256', 'sha384', 'sha512'].find((digest) =>
    verify(digest, body, key, signature),
  );
  if (works === undefined) throw new Error('the corpus holds a signature that does not count');
  return works;
}

export class Readers {
  readonly #originals: Record<Kind, Original[]> = { certificate: [], request: [], list: [] };
  readonly #authorities: CertificateFacts[];
  readonly #keys: KeyObject[];
  /** What was signed before anything was bent. */
  readonly #signed: Set<string>;
  readonly #trees: Tree[];
  readonly #ders: Uint8Array[];
  readonly #pems: string[];
  #lists = 0;
  /** Milliseconds in the readers themselves, so far. */
  spent = 0;

  constructor(corpus: Corpus) {
    this.#authorities = corpus.authorities.map((pem) => readCertificate(pem));
    this.#keys = this.#authorities.map((facts) => facts.publicKey);
    for (const member of corpus.members) {
      const privateKey = loadKey(member);
      const tree = readTree(member.der);
      const digest = findDigest(member, privateKey);
      this.#originals[member.kind].push({ ...member, tree, privateKey, digest });
    }
    this.#signed = new Set(corpus.members.map((member) => signedBytes(member.der)));
    this.#ders = corpus.members.map((member) => member.der);
    this.#pems = corpus.members.map((member) => writePem(LABELS[member.kind], member.der));
    this.#trees = this.#ders.map(readTree);
  }

  readonly all: Readonly<Record<string, Reader>> = {
    readCertificate: (random) => this.#certificate(random),
    readRequest: (random) => this.#request(random),
    readCrl: (random) => this.#list(random),
    findFault: (random) => this.#fault(random),
    readDer: (random) => this.#pem(random),
  };

  /** Something of that kind, gone wrong. */
  #bend(random: Random, kind: Kind, resign: boolean): Sample {
    const original = random.pick(this.#originals[kind]);
    const { der, tree } = original;
    const plain = (bytes: Uint8Array): Sample => ({ bytes, original, resigned: false });
    const way = random.below(20);
    if (resign && way < 10) {
      const body = bendTree(random, takeApart(tree).body, this.#trees);
      return { bytes: this.#sign(original, body), original, resigned: true };
    }
    if (way < 13) return plain(writeTree(bendTree(random, tree, this.#trees)));
    if (way < 18) return plain(bendBytes(random, der, this.#ders));
    if (way < 19) return plain(bendSignature(random, tree));
    return plain(makeNoise(random));
  }

  #sign({ tree, digest, privateKey }: Original, body: Tree): Buffer {
    const [algorithm] = takeApart(tree).rest;
    const signature = sign(digest, writeTree(body), privateKey);
    const none = new Uint8Array(0);
    const framed: Tree = {
      tag: 0x03,
      prefix: none,
      content: Buffer.concat([Buffer.of(0), signature]),
    };
    const content = [body, copyTree(algorithm as Tree), framed];
    return writeTree({ tag: 0x30, prefix: none, content });
  }

  /** As DER, or now and then as PEM, in bytes or as text. */
  #dress(random: Random, kind: Kind, bytes: Uint8Array): string | Uint8Array {
    if (!random.once(10)) return bytes;
    const pem = writePem(LABELS[kind], bytes);
    return random.once(2) ? pem : Buffer.from(pem);
  }

  /** What comes back, or undefined for a refusal. */
  #ask<Result>(input: string | Uint8Array, read: () => Result): Result | undefined {
    const began = performance.now();
    try {
      return read();
    } catch (error) {
      if (error instanceof RefusalError) return undefined;
      throw new Finding(`threw ${error instanceof Error ? error.stack : String(error)}`, input);
    } finally {
      this.spent += performance.now() - began;
    }
  }

  /** Of what counts as signed: is it what was signed? */
  #checkSigned(sample: Sample, what: string): Verdict {
    const { bytes, original, resigned } = sample;
    if (resigned) return 'accepted';
    if (!this.#signed.has(signedBytes(bytes)))
      throw new Finding(`${what} that nobody signed`, bytes);
    return Buffer.compare(bytes, original.der) === 0 ? 'accepted' : 'altered';
  }

  #certificate(random: Random): Verdict {
    const { bytes } = this.#bend(random, 'certificate', false);
    const input = this.#dress(random, 'certificate', bytes);
    const facts = this.#ask(input, () => readCertificate(input));
    if (facts === undefined) return 'refused';
    compareWithOpenssl(facts);
    return 'accepted';
  }

  #request(random: Random): Verdict {
    const sample = this.#bend(random, 'request', true);
    const input = this.#dress(random, 'request', sample.bytes);
    const found = this.#ask(input, () => readRequest(input));
    if (found === undefined) return 'refused';
    const key = found.publicKey.export({ type: 'spki', format: 'der' });
    const known = this.#keys.some((one) => key.equals(one.export({ type: 'spki', format: 'der' })));
    if (!known) throw new Finding('accepted a key that has signed nothing', input);
    return this.#checkSigned(sample, 'accepted a request');
  }

  #list(random: Random): Verdict {
    const sample = this.#bend(random, 'list', true);
    const authority = this.#authorities[sample.original.authority];
    const input = this.#dress(random, 'list', sample.bytes);
    if (authority === undefined) throw new Error('a list without an authority');
    const list = this.#ask(input, () => readCrl(input, authority));
    if (list === undefined) return 'refused';
    this.#lists += 1;
    if (this.#lists % LISTS_COMPARED === 0) {
      try {
        createSecureContext({ crl: writePem('X509 CRL', sample.bytes) });
      } catch (error) {
        throw new Finding(`accepted a list that OpenSSL does not read: ${error}`, input);
      }
    }
    return this.#checkSigned(sample, 'accepted a list');
  }

  #fault(random: Random): Verdict {
    const sample = this.#bend(random, 'certificate', true);
    const { bytes } = sample;
    const fault = this.#ask(bytes, () => findFault(bytes, this.#authorities) ?? 'none');
    if (fault === undefined) throw new Finding('threw a refusal', bytes);
    if (fault !== 'none') return 'refused';
    const verdict = this.#checkSigned(sample, 'takes for ours a certificate');
    const facts = this.#ask(bytes, () => readCertificate(bytes));
    if (facts === undefined) throw new Finding('has no fault, and is refused', bytes);
    const other = compareWithOpenssl(facts);
    const isSigned = this.#keys.some((key) => other.verify(key));
    if (!isSigned) throw new Finding('OpenSSL finds no signature of ours', bytes);
    if (other.ca) throw new Finding('OpenSSL takes it for an authority', bytes);
    if (!other.keyUsage?.includes('1.3.6.1.5.5.7.3.2')) {
      throw new Finding('OpenSSL does not take it for a client', bytes);
    }
    return verdict;
  }

  #pem(random: Random): Verdict {
    const text = bendPem(random, this.#pems);
    const input = random.once(2) ? text : Buffer.from(text, random.pick(['utf8', 'latin1']));
    const found = this.#ask(input, () => readPemBlocks(input, ANY_PEM));
    const der = this.#ask(input, () => readDer(input, ANY_PEM));
    if (der === undefined) return 'refused';
    const isDer = input instanceof Uint8Array && input[0] === 0x30;
    if (!isDer && (found?.length !== 1 || Buffer.compare(found[0] ?? der, der) !== 0)) {
      throw new Finding('one block is not the only block', input);
    }
    const again = readDer(writePem('CERTIFICATE', der), ANY_PEM);
    if (Buffer.compare(again, der) !== 0) throw new Finding('reads another thing again', input);
    return 'accepted';
  }
}

const asList = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value]);

/** OpenSSL's reading of what we accept. @throws Finding */
function compareWithOpenssl(facts: CertificateFacts): X509Certificate {
  const { der, serial, subject, notBefore, notAfter } = facts;
  let other: X509Certificate;
  try {
    other = new X509Certificate(der);
  } catch (error) {
    throw new Finding(`accepted a certificate that OpenSSL does not read: ${error}`, der);
  }
  const name = (other.toLegacyObject().subject ?? {}) as unknown as Record<string, unknown>;
  const commonName = asList(name.CN ?? '').at(-1);
  const ours = [BigInt(`0x${serial}`), subject.commonName, notBefore.getTime(), notAfter.getTime()];
  const theirs = [
    BigInt(`0x${other.serialNumber}`),
    commonName,
    other.validFromDate.getTime(),
    other.validToDate.getTime(),
  ];
  const at = ours.findIndex((value, position) => value !== theirs[position]);
  if (at < 0) return other;
  const what = ['serial', 'common name', 'notBefore', 'notAfter'][at];
  const values = [ours[at], theirs[at]].map((value) => JSON.stringify(String(value)));
  throw new Finding(`reads another ${what} than OpenSSL: ${values.join(' for ')}`, der);
}
