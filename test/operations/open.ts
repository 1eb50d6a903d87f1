/** The working parts of a new data directory, and actors of every role, for tests of operations. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { ROLES, type Role } from '../../src/authority/profiles.ts';
import { initialiseDirectory, type OpenedParts, openParts } from '../../src/compose.ts';
import { loadConfig } from '../../src/config.ts';
import { discardFiles, receiveFile } from '../../src/http/receive.ts';
import { createLogger } from '../../src/log.ts';
import type { Actor } from '../../src/operations/operation.ts';
import { createRequest } from '../../src/pki/csr.ts';
import { generatePrivateKey } from '../../src/pki/key.ts';
import type { ReceivedFile } from '../../src/repository/ingest.ts';
import { verifyData } from '../e2e/verified.ts';

/** Past, so that no machine's clock is behind it. */
export const START_MS = Date.parse('2021-05-14T10:00:00Z');

export interface OpenSite {
  parts: OpenedParts;
  data: string;
  clock: { now: number };
  receive(bytes: Uint8Array): Promise<ReceivedFile>;
  discard(file: ReceivedFile): Promise<void>;
  close(): Promise<void>;
}

export async function openSite(): Promise<OpenSite> {
  const data = mkdtempSync(join(tmpdir(), 'aptkeep-operations-'));
  const clock = { now: START_MS };
  const log = createLogger('silent');
  const config = loadConfig({ data, settings: { listen: '127.0.0.1:8443' } }, {});
  await initialiseDirectory(config, log, () => clock.now);
  const parts = await openParts(config, log, () => clock.now);
  return {
    ...{ parts, data, clock },
    receive: (bytes) => receiveFile(parts, Readable.from([bytes])),
    discard: (file) => discardFiles([file]),
    async close() {
      await parts.close();
      await verifyData(data);
      rmSync(data, { recursive: true });
    },
  };
}

const createActor = (role: Role): Actor => ({
  ...{ name: `the-${role}`, role, serial: 'abc123', suites: null, packages: null },
  address: '192.0.2.7',
  confirm: () => {},
});

export const ACTORS = Object.fromEntries(
  ROLES.map((role) => [role, createActor(role)]),
) as Readonly<Record<Role, Actor>>;

/** A PKCS#10 request for a new key, PEM. */
export const createCsr = (): string =>
  createRequest(generatePrivateKey(), { commonName: 'request' });
