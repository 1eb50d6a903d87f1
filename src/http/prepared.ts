/**
 * The signed files of the publications in force, which hosts ask for all day: heads and bodies made
 * once for each publication, found by the URL as it came, answered in one go. Whatever is not plain
 * (a range, an escape, rules that are not in memory, a refusal) is left to the long way, which gives
 * the same answers. Source: RFC 9110 sections 8.8, 13. Floor 7.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Actor } from '../operations/operation.ts';
import type { LivePublication } from '../repository/live.ts';
import { describeHead, describeUnchanged } from './heads.ts';
import { findSigned, type ResourceParts } from './resources.ts';
import { recallSeen, rememberSeen } from './seen.ts';
import { isUnchanged, type Validators } from './validators.ts';

interface Prepared extends Validators {
  /** A byte a character: behind the head as a string, both go out in one write. */
  text: string;
  /** Name, value, name, value: as Node writes them without looking at each. */
  head: string[];
  unchanged: string[];
  /** As most clients send it back. */
  date: string;
}

const NAMES = ['InRelease', 'Release', 'Release.gpg'];
const PREFIX = '/dists/';

const prepared = new WeakMap<LivePublication, ReadonlyMap<string, Prepared>>();

function prepare(publication: LivePublication): ReadonlyMap<string, Prepared> {
  const files = new Map<string, Prepared>();
  for (const name of NAMES) {
    const resource = findSigned(publication, name);
    if (resource?.body.kind !== 'bytes') continue;
    files.set(name, {
      ...{
        etag: resource.etag,
        modified: resource.modified,
        text: resource.body.bytes.toString('latin1'),
      },
      head: describeHead(resource, undefined),
      unchanged: describeUnchanged(resource),
      date: new Date(resource.modified).toUTCString(),
    });
  }
  prepared.set(publication, files);
  return files;
}

const isSame = ({ headers }: IncomingMessage, file: Prepared): boolean =>
  (headers['if-none-match'] === undefined && headers['if-modified-since'] === file.date) ||
  isUnchanged(headers, file);

/** Whether it was answered; how many bytes of a body that were. */
export function answerPrepared(
  { repository, readers }: ResourceParts,
  request: IncomingMessage,
  response: ServerResponse,
  actor: Actor,
): number | undefined {
  const { url = '', method, headers } = request;
  if (method !== 'GET' || !url.startsWith(PREFIX) || headers.range !== undefined) return undefined;
  const slash = url.indexOf('/', PREFIX.length);
  const name = url.slice(slash + 1);
  if (slash < 0 || !NAMES.includes(name)) return undefined;
  const suite = url.slice(PREFIX.length, slash);
  const current = repository.live.get(suite);
  if (!current || readers.maySuite(actor, suite) !== true) return undefined;
  if (name !== 'Release.gpg') rememberSeen(request, current);
  const publication = recallSeen(request, suite) ?? current;
  const file = (prepared.get(publication) ?? prepare(publication)).get(name);
  if (!file) return undefined;
  if (isSame(request, file)) {
    response.writeHead(304, file.unchanged).end();
    return 0;
  }
  response.writeHead(200, file.head).end(file.text, 'latin1');
  return file.text.length;
}
