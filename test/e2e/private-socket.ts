/**
 * The private socket of a running server, asked without a new process for every question: for tests
 * that revoke, issue and look many times, or that want to know the moment of the answer.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createKeyAndRequest } from '../http/start.ts';
import type { Client } from './site.ts';

/** GET without a body, POST with one; resolves with the JSON of an answer that is no refusal. */
export async function askPrivately(
  data: string,
  path: string,
  body?: Record<string, unknown>,
  // biome-ignore lint/suspicious/noExplicitAny: whatever the operation answers
): Promise<any> {
  const method = body === undefined ? 'GET' : 'POST';
  const answer = await new Promise<{ status: number; said: string }>((resolve, reject) => {
    const asking = request(
      {
        ...{ socketPath: join(data, 'aptkeep.sock'), path, method, agent: false },
        headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
      },
      (response) => {
        text(response).then((said) => resolve({ status: response.statusCode ?? 0, said }), reject);
      },
    );
    asking.once('error', reject);
    asking.end(body === undefined ? undefined : JSON.stringify(body));
  });
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.said}`);
  return JSON.parse(answer.said);
}

/** A client with a certificate of its own. */
export async function issuePrivately(data: string, name: string, role: string): Promise<Client> {
  const { key, csr } = createKeyAndRequest();
  const issued = await askPrivately(data, '/v1/certificates', { name, role, csr });
  const folder = join(`${data}-clients`, name);
  const [certificate, keyFile] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  await mkdir(folder, { recursive: true });
  await writeFile(certificate, issued.pem);
  await writeFile(keyFile, key, { mode: 0o600 });
  return { name, folder, certificate, key: keyFile, ca: join(data, 'certs/server-ca.crt') };
}

/** In force when it resolves. */
export const revokePrivately = (data: string, name: string): Promise<unknown> =>
  askPrivately(data, `/v1/certificates/${name}/revoke`, { reason: 'keyCompromise' });
