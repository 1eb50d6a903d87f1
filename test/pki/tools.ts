/** openssl and certtool in a folder of their own, and what the tests of pki/ share. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { RefusalError } from '../../src/errors.ts';
import {
  type CertificateFacts,
  createAuthority,
  issueCertificate as issueUnseen,
  type LeafRequest,
  readCertificate,
} from '../../src/pki/certificate.ts';
import { issueCrl as issueListUnseen, type RevocationListRequest } from '../../src/pki/crl.ts';
import { encodePrivateKey, generatePrivateKey, type KeyKind } from '../../src/pki/key.ts';
import { createSerial } from '../../src/pki/serial.ts';
import { createSigner, type Signer } from '../../src/pki/signer.ts';
import { verifyIssued } from '../e2e/verified.ts';

const HOUR_MS = 3_600_000;
const START = Math.floor(Date.now() / 1000) * 1000;

/** A moment so many hours from the start of the tests, in whole seconds: other tools read the clock. */
export const hours = (count: number): Date => new Date(START + count * HOUR_MS);

export interface Folder {
  path(name: string): string;
  write(name: string, content: string | Uint8Array): string;
  read(name: string): Buffer;
  /** Standard output. @throws Error with what the program said, where it fails. */
  run(program: string, ...programArguments: string[]): string;
  /** Both outputs, whatever the exit status. */
  ask(program: string, ...programArguments: string[]): { status: number | null; output: string };
}

/** A temporary folder, gone after the tests of the file. */
export function openFolder(): Folder {
  const root = mkdtempSync(join(tmpdir(), 'aptkeep-pki-'));
  afterAll(() => rmSync(root, { recursive: true }));
  const path = (name: string): string => join(root, name);
  const start = (program: string, programArguments: string[]) =>
    spawnSync(program, programArguments, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28 });
  return {
    path,
    write: (name, content) => {
      writeFileSync(path(name), content);
      return path(name);
    },
    read: (name) => readFileSync(path(name)),
    run: (program, ...programArguments) => {
      const { status, stdout, stderr, error } = start(program, programArguments);
      if (status === 0) return stdout;
      throw new Error(`${program} ${programArguments.join(' ')}: ${error?.message ?? stderr}`);
    },
    ask: (program, ...programArguments) => {
      const { status, stdout, stderr } = start(program, programArguments);
      return { status, output: stdout + stderr };
    },
  };
}

export const randomSerial = (): string => createSerial(randomBytes(16));

export interface TestAuthority {
  pem: string;
  keyPem: string;
  facts: CertificateFacts;
  signer: Signer;
}

interface Made {
  authority: string;
  clients: string[];
  servers: string[];
  lists: string[];
}

/** What was issued in this test file, for openssl and GnuTLS when it ends. */
const made = new Map<Signer, Made>();
/** Two processes a list: of one authority so many, spread over them. */
const MAX_LISTS = 20;

afterAll(async () => {
  for (const { lists, ...issued } of made.values()) {
    await verifyIssued(issued);
    const step = Math.ceil(lists.length / MAX_LISTS);
    const some = lists.filter((_, index) => index % step === 0);
    await verifyIssued({ authority: issued.authority, clients: [], lists: some });
  }
});

/** As the function of src/pki/, and verified when the test file ends. */
export async function issueCertificate(signer: Signer, request: LeafRequest): Promise<string> {
  const pem = await issueUnseen(signer, request);
  made.get(signer)?.[request.profile.kind === 'client' ? 'clients' : 'servers'].push(pem);
  return pem;
}

/** As the function of src/pki/, and verified when the test file ends. */
export async function issueCrl(signer: Signer, list: RevocationListRequest): Promise<string> {
  const pem = await issueListUnseen(signer, list);
  made.get(signer)?.lists.push(pem);
  return pem;
}

/** An authority in force from an hour ago for ten years. */
export function openTestAuthority(kind: KeyKind = 'P-256', name = 'client CA 1'): TestAuthority {
  const key = generatePrivateKey(kind);
  const subject = { commonName: name, organization: 'Example' };
  const validity = { notBefore: hours(-1), notAfter: hours(24 * 3650) };
  const pem = createAuthority(key, subject, randomSerial(), validity);
  const signer = createSigner(pem, key);
  made.set(signer, { authority: pem, clients: [], servers: [], lists: [] });
  return { pem, keyPem: encodePrivateKey(key), facts: readCertificate(pem), signer };
}

/** "CODE: message" of the refusal; any other error passes through, none is 'accepted'. */
export function refusalOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof RefusalError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'accepted';
}

/** One byte changed, for every byte in turn. */
export function* changeEachByte(bytes: Uint8Array): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at++) {
    for (const mask of [0x01, 0x80, 0xff]) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8((bytes[at] ?? 0) ^ mask, at);
      yield changed;
    }
  }
}
