/**
 * `aptkeep cert renew`: with --server the certificate that was given, on the data directory the
 * server's own. Floor 9.
 */
import { RefusalError } from '../errors.ts';
import { createRequest } from '../pki/csr.ts';
import { encodePrivateKey, generatePrivateKey } from '../pki/key.ts';
import type { Leaf, LeafOptions, Shown, TargetOptions } from './command.ts';
import { replacePair } from './pair.ts';
import type { Performer } from './performer.ts';
import { formatTime, renderPairs } from './table.ts';

async function renewServer(performer: Performer): Promise<Shown> {
  const json = await performer.perform('server.renew', {});
  const text = renderPairs([
    ['certificate', `server ${json.names.join(', ')}`],
    ['serial', json.serial],
    ['valid until', formatTime(json.notAfter)],
  ]);
  return { json, text };
}

async function renewOwn(performer: Performer, cert: string, key: string): Promise<Shown> {
  const fresh = generatePrivateKey();
  const csr = createRequest(fresh, { commonName: 'renewal' });
  const {
    certificate,
    key: _key,
    ...issued
  } = await replacePair({ cert, key }, async () => {
    const { pem, ...rest } = await performer.perform('certificate.renew', { csr });
    return { ...rest, certificate: pem, key: encodePrivateKey(fresh) };
  });
  const written = [...new Set([cert, key])];
  return {
    json: { ...issued, pem: certificate, files: written },
    text: renderPairs([
      ['certificate', `${issued.role} ${issued.name}`],
      ['serial', issued.serial],
      ['valid until', formatTime(issued.notAfter)],
      ...written.map((file): [string, string] => ['replaced', file]),
      ['the old one', 'is revoked in a day'],
    ]),
  };
}

export const RENEW: Leaf = {
  usage: 'renew',
  summary:
    "renew the certificate of --cert and --key in place; on the data directory, the server's",
  example:
    'aptkeep cert renew --server https://repo.example.org:8443 --cert jenkins.crt --key jenkins.key --ca ca.crt',
  run: async (performer: Performer, options: LeafOptions & TargetOptions): Promise<Shown> => {
    const { server, data, cert, key } = options;
    if (server === undefined || data !== undefined) return renewServer(performer);
    if (cert !== undefined && key !== undefined) return renewOwn(performer, cert, key);
    throw new RefusalError('USAGE_INVALID', '--server needs --cert and --key');
  },
};
