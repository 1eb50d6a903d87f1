/**
 * What lies beside dists/ and pool/: snapshots, which are suites as they were, and changelogs. Both
 * are asked for by apt, seldom; read as the suites and the packages that they come from. Floor 7.
 */
import express, { type Request, type Response, type Router } from 'express';
import { listSuites } from '../catalog/suites.ts';
import { readChangePath, readSnapshotPath } from '../deb/layout.ts';
import { RefusalError } from '../errors.ts';
import type { Actor, Parts } from '../operations/operation.ts';
import { Changelogs } from '../repository/changelogs.ts';
import { readSnapshotTime, type Snapshot, Snapshots } from '../repository/snapshots.ts';
import { readSuiteRow } from '../repository/suites.ts';
import { serveFile } from './files.ts';
import { decodePath } from './resources.ts';
import { describeFiles } from './serving.ts';
import { actorOf } from './session.ts';

const TEXT = 'text/plain; charset=utf-8';

const refuse = (path: readonly string[]): RefusalError =>
  new RefusalError('PATH_UNKNOWN', `there is no ${path.join('/').slice(0, 200)}`);

/** Where a path of a snapshot leads: one of its signed files, or what stands there in this server. */
type Target = { bytes: Buffer; type: string } | { url: string };

const SIGNED = {
  InRelease: ['inRelease', TEXT],
  Release: ['release', TEXT],
  'Release.gpg': ['releaseGpg', 'application/pgp-signature'],
} as const;

function findTarget(snapshot: Snapshot, path: readonly string[]): Target | undefined {
  const name = path.join('/');
  if (Object.hasOwn(SIGNED, name)) {
    const [part, type] = SIGNED[name as keyof typeof SIGNED];
    return { bytes: Buffer.from(snapshot[part]), type };
  }
  const spell = (file: readonly string[]): string =>
    `/${['dists', snapshot.suite, ...file].map(encodeURIComponent).join('/')}`;
  // Kept ones are found by any publication; a name means what this one's Release says.
  if (path.includes('by-hash')) return { url: spell(path) };
  const sha256 = snapshot.hashes.get(name);
  if (sha256 === undefined) return undefined;
  return { url: spell([...path.slice(0, -1), 'by-hash', 'SHA256', sha256]) };
}

async function findSnapshot(
  parts: Parts,
  snapshots: Snapshots,
  actor: Actor,
  path: readonly string[],
): Promise<Target> {
  const asked = readSnapshotPath(path);
  const time = asked && readSnapshotTime(asked.id);
  if (!asked || time === undefined) throw refuse(path);
  // A package is the same at any time.
  if (asked.suite === null) return { url: `/${asked.rest.map(encodeURIComponent).join('/')}` };
  if (!parts.repository.live.has(asked.suite)) throw refuse(path);
  await parts.readers.checkSuite(actor, asked.suite);
  const snapshot = await snapshots.find(asked.suite, time);
  const target = snapshot && findTarget(snapshot, asked.rest);
  if (!target) throw refuse(path);
  return target;
}

function send(request: Request, response: Response, bytes: Buffer, type: string): void {
  response.writeHead(200, {
    'Content-Type': type,
    'Content-Length': bytes.length,
    'Cache-Control': 'private, no-cache',
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

/** Refuses other methods, and answers GET and HEAD by the raw path. */
function serve(
  answer: (request: Request, response: Response, path: string[]) => Promise<void>,
): express.RequestHandler {
  return async (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.set('Allow', 'GET, HEAD');
      throw new RefusalError(
        'METHOD_NOT_ALLOWED',
        `${request.method}: GET and HEAD are allowed here`,
      );
    }
    await answer(request, response, decodePath(request.originalUrl));
  };
}

/** Which suites a reader may read that serve changelogs. */
async function findServing(parts: Parts, actor: Actor): Promise<(suite: string) => boolean> {
  const mayRead = await parts.readers.findReadable(actor);
  const serving = (await listSuites(parts.repository.catalog))
    .map(readSuiteRow)
    .filter(({ name, options }) => options.changelogs && mayRead(name))
    .map(({ name }) => name);
  return (suite) => serving.includes(suite);
}

export function createPastRouter(parts: Parts): Router {
  const router = express.Router();
  const snapshots = new Snapshots(parts.repository);
  const changelogs = new Changelogs(parts.repository);
  const fileParts = describeFiles(parts);
  router.use(
    '/snapshots',
    serve(async (request, response, path) => {
      const actor = actorOf(request);
      const target = await findSnapshot(parts, snapshots, actor, path);
      if ('bytes' in target) return send(request, response, target.bytes, target.type);
      request.url = target.url;
      serveFile(fileParts, request, response, actor);
    }),
  );
  router.use(
    '/changelogs',
    serve(async (request, response, path) => {
      const asked = readChangePath(path);
      const mayRead = await findServing(parts, actorOf(request));
      const changelog = asked && (await changelogs.find(asked, mayRead));
      if (!changelog) throw refuse(path);
      send(request, response, changelog, TEXT);
    }),
  );
  return router;
}
