/** Kits as their bearer has them: the enrolment certificate with its key, in files of their own. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '../e2e/site.ts';
import { readKitFile } from '../operations/kit-contents.ts';
import { type Answer, ask, createKeyAndRequest, type Site } from './start.ts';

export interface KitClient extends Client {
  serial: string;
  kit: string;
}

/** Makes a kit; `again` for a host that is there. */
export async function makeKit(site: Site, name: string, again = false): Promise<KitClient> {
  const { kit } = await site.perform('host.add', { host: name, again });
  const shown = await site.perform('certificate.show', { certificate: name });
  const folder = join(`${site.data}-kits`, `${name}-${shown.certificates[0]?.serial}`);
  const files = { certificate: join(folder, 'enrolment.crt'), key: join(folder, 'enrolment.key') };
  await mkdir(folder, { recursive: true });
  const [pem = ''] = readKitFile(kit, 'enrolment.crt');
  await writeFile(files.certificate, pem);
  await writeFile(files.key, readKitFile(kit, 'enrolment.key').join(''), { mode: 0o600 });
  const serial = shown.certificates.find((one) => one.pem === pem)?.serial ?? '';
  return { name, folder, ...files, ca: site.ca, serial, kit };
}

const JSON_TYPE = { 'Content-Type': 'application/json' };

/** One request for a certificate, for a new key unless another request is given. */
export function enrol(
  site: Site,
  client: Client,
  csr = createKeyAndRequest().csr,
  path = '/v1/enrolment',
): Promise<Answer> {
  return ask(site, client, path, {
    method: 'POST',
    headers: JSON_TYPE,
    body: JSON.stringify({ csr }),
  });
}

/** A client of a certificate that was answered and its key. */
export async function keepClient(
  site: Site,
  name: string,
  pem: string,
  key: string,
): Promise<Client> {
  const serial = pem.slice(-60, -40).replace(/\W/g, '');
  const folder = join(`${site.data}-clients`, `${name}-${serial}`);
  await mkdir(folder, { recursive: true });
  const files = { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  await writeFile(files.certificate, pem);
  await writeFile(files.key, key, { mode: 0o600 });
  return { name, folder, ...files, ca: site.ca };
}
