/**
 * The real server in this process, for tests that look at its inside as well: a data directory and
 * a port of its own, a clock that can be set, clients of every role, requests over mutual TLS.
 */
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { request as requestHttps } from 'node:https';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { IssuableRole } from '../../src/authority/profiles.ts';
import { loadConfig } from '../../src/config.ts';
import { type Daemon, startDaemon } from '../../src/daemon.ts';
import { createLocalActor } from '../../src/http/socket.ts';
import { createLogger } from '../../src/log.ts';
import type { Parts } from '../../src/operations/operation.ts';
import { perform } from '../../src/operations/perform.ts';
import type { InputOf, OperationName, OutputOf } from '../../src/operations/table.ts';
import { createRequest } from '../../src/pki/csr.ts';
import type { SettingKey } from '../../src/settings.ts';
import type { Client } from '../e2e/site.ts';

/** Real time and what was added to it. */
export interface Clock {
  now(): number;
  advance(milliseconds: number): void;
}

export interface IssuedClient extends Client {
  serial: string;
}

export interface Site {
  daemon: Daemon;
  parts: Parts;
  data: string;
  clock: Clock;
  port: number;
  url: string;
  /** Path of the CA of the server's certificate. */
  ca: string;
  /** An operation as the directory's owner asks for it. */
  perform<Name extends OperationName>(name: Name, input: InputOf<Name>): Promise<OutputOf<Name>>;
  issue(
    name: string,
    role: IssuableRole,
    suites?: string[],
    packages?: string[],
  ): Promise<IssuedClient>;
}

export interface SiteOptions {
  settings?: Partial<Record<SettingKey, string>>;
  clock?: Clock;
}

export function createClock(): Clock {
  let offset = 0;
  return {
    now: () => Date.now() + offset,
    advance: (milliseconds) => {
      offset += milliseconds;
    },
  };
}

/** A new private key and a request for it, as PEM. */
export function createKeyAndRequest(): { key: string; csr: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    csr: createRequest(privateKey, { commonName: 'request' }),
  };
}

/** Starts serving a data directory, made where it is empty. */
export async function startSite(data: string, options: SiteOptions = {}): Promise<Site> {
  const clock = options.clock ?? createClock();
  const defaults = { listen: '127.0.0.1:0', 'health.listen': 'off' };
  const config = loadConfig({ data, settings: { ...defaults, ...options.settings } }, {});
  const daemon = await startDaemon(config, createLogger('silent'), clock.now);
  const { parts } = daemon;
  const ca = join(data, 'certs/server-ca.crt');
  const site: Site = {
    daemon,
    parts,
    data,
    clock,
    port: Number(new URL(parts.url).port),
    url: parts.url,
    ca,
    perform: (name, input) => perform(parts, createLocalActor(), name, input),
    async issue(name, role, suites, packages) {
      const { key, csr } = createKeyAndRequest();
      const limits = { ...(suites && { suites }), ...(packages && { packages }) };
      const issued = await site.perform('certificate.issue', { name, role, csr, ...limits });
      const folder = join(`${data}-clients`, `${name}-${issued.serial}`);
      const files = { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
      await mkdir(folder, { recursive: true });
      await writeFile(files.certificate, issued.pem);
      await writeFile(files.key, key, { mode: 0o600 });
      return { name, folder, ...files, ca, serial: issued.serial };
    },
  };
  return site;
}

export interface Answer {
  status: number;
  reason: string;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
  text: string;
}

export interface Question {
  method?: string;
  headers?: Record<string, string | string[]>;
  body?: string | Uint8Array;
}

/** One request on a connection of its own; the path goes out exactly as it is written here. */
export async function ask(
  site: Site,
  client: Client,
  path: string,
  { method = 'GET', headers = {}, body }: Question = {},
): Promise<Answer> {
  const [cert, key, ca] = await Promise.all([
    readFile(client.certificate),
    readFile(client.key),
    readFile(site.ca),
  ]);
  return new Promise((resolve, reject) => {
    const request = requestHttps(
      { host: '127.0.0.1', port: site.port, path, method, headers, cert, key, ca, agent: false },
      (response) => {
        buffer(response).then((received) => {
          resolve({
            status: response.statusCode ?? 0,
            reason: response.statusMessage ?? '',
            headers: response.headers,
            body: received,
            text: received.toString('utf8'),
          });
        }, reject);
      },
    );
    request.once('error', reject);
    request.end(body);
  });
}

/** The code of an application/problem+json answer. */
export const readCode = (answer: Answer): string => JSON.parse(answer.text).code;

/** One upload with PUT. */
export function put(
  site: Site,
  client: Client,
  bytes: Uint8Array,
  place = 'stable/sample.deb',
): Promise<Answer> {
  return ask(site, client, `/upload/${place}`, { method: 'PUT', body: bytes });
}
