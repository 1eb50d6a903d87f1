/**
 * What the main process answers an admitted request with: files on the hot path, all else by the
 * application, whichever listener it came by. Floor 7.
 */
import type { RequestListener } from 'node:http';
import type { Parts } from '../operations/operation.ts';
import { openFilesByHash } from './by-hash.ts';
import { type FileParts, isFileUrl, serveFile } from './files.ts';
import type { Serve } from './judge.ts';
import { rememberActor } from './session.ts';

export function describeFiles({ repository, readers, activity, log }: Parts): FileParts {
  return { repository, readers, byHash: openFilesByHash(repository.catalog), activity, log };
}

export function createServe(files: FileParts, app: RequestListener): Serve {
  return (request, response, actor) => {
    if (isFileUrl(request.url ?? '')) return serveFile(files, request, response, actor);
    rememberActor(request, actor);
    app(request, response);
  };
}
