/**
 * Uploads: PUT with a raw body, POST with multipart/form-data through multer. Role, suite and size
 * are judged before a byte of the body is asked for. Floor 7.
 */
import express, { type Request, type Response, type Router } from 'express';
import multer, { type StorageEngine } from 'multer';
import { RefusalError } from '../errors.ts';
import type { Actor, Parts } from '../operations/operation.ts';
import { checkUploadSuite } from '../operations/packages.ts';
import { checkAhead, perform } from '../operations/perform.ts';
import { chooseComponent } from '../repository/component.ts';
import type { ReceivedFile } from '../repository/ingest-request.ts';
import { getSuite } from '../repository/suites.ts';
import { discardFiles, receiveFile } from './receive.ts';
import { actorOf } from './session.ts';

const MAX_PARTS = 1000;
const FIELD_NAME = 'package';

interface Place {
  suite: string;
  component: string | undefined;
  anyDistribution: boolean;
  publishesByChanges: boolean;
}

/** What was received; `name` where it came alone, by PUT. */
interface Received {
  files: readonly ReceivedFile[];
  name?: string;
}

/**
 * Refuse what will be refused anyway, while the body still waits.
 * @throws RefusalError ROLE_FORBIDDEN, SUITE_FORBIDDEN, SUITE_UNKNOWN, COMPONENT_UNKNOWN, TOO_LARGE
 */
async function checkBeforeBody(
  parts: Parts,
  request: Request,
  actor: Actor,
  place: Place,
): Promise<void> {
  const asked = { operation: 'package.add', subject: place.suite } as const;
  await checkAhead(parts, actor, asked, async () => {
    checkUploadSuite(actor, place.suite);
    chooseComponent(await getSuite(parts.repository, place.suite), place.component);
    const limit = parts.config.values['upload.maxSize'];
    const announced = Number(request.headers['content-length'] ?? 0);
    if (announced > limit && !request.is('multipart/form-data')) {
      throw new RefusalError('TOO_LARGE', `${announced} bytes; upload.maxSize is ${limit}`);
    }
  });
}

/** The body is whole: reading packages may take longer than a connection may stand still. */
async function addReceived(
  parts: Parts,
  request: Request,
  response: Response,
  { suite, component, anyDistribution, publishesByChanges }: Place,
  { files, name }: Received,
): Promise<void> {
  request.socket.setTimeout(0);
  parts.activity.uploads += files.length;
  const added = await perform(parts, actorOf(request), 'package.add', {
    files: [...files],
    ...{ suite, anyDistribution, publishesByChanges },
    ...(component === undefined ? {} : { component }),
    ...(name === undefined ? {} : { name }),
  });
  request.socket.setTimeout(parts.config.values['upload.idleTimeout']);
  if (added.waiting.length > 0) {
    response.status(202).json({ waiting: added.waiting[0] });
    return;
  }
  const body = added.packages.length === 1 ? added.packages[0] : { packages: added.packages };
  response.status(added.created ? 201 : 200).json(body);
}

function continueBody(request: Request, response: Response): void {
  if (request.headers.expect?.toLowerCase() === '100-continue') response.writeContinue();
}

async function receivePut(
  parts: Parts,
  request: Request,
  response: Response,
  place: Place,
): Promise<void> {
  await checkBeforeBody(parts, request, actorOf(request), place);
  if (request.headers['content-encoding'] ?? request.headers['content-range']) {
    throw new RefusalError(
      'INPUT_INVALID',
      'an upload is one whole file: no Content-Encoding, no Content-Range',
    );
  }
  continueBody(request, response);
  const announced = request.headers['content-length'];
  const file = await receiveFile(
    parts,
    request,
    announced === undefined ? undefined : Number(announced),
  );
  try {
    const { file: name = '' } = request.params as { file?: string };
    await addReceived(parts, request, response, place, { files: [file], name });
  } finally {
    await discardFiles([file]);
  }
}

/**
 * multer's storage engine: each part straight into staging. `received` is in the order of the form,
 * though a small part may be stored before the one in front of it, and has gaps when one failed.
 */
function createEngine(parts: Parts, received: ReceivedFile[]): StorageEngine {
  let begun = 0;
  return {
    _handleFile(_request, part, done) {
      const place = begun;
      begun += 1;
      receiveFile(parts, part.stream).then(
        (file) => {
          received[place] = file;
          done(null, { size: file.size, ...(file.path === undefined ? {} : { path: file.path }) });
        },
        (error: unknown) => done(error),
      );
    },
    _removeFile(_request, part, done) {
      discardFiles([part]).then(() => done(null), done);
    },
  };
}

function explainMultipart(error: unknown): unknown {
  if (error instanceof RefusalError) return error;
  if (error instanceof multer.MulterError) {
    const field = error.field ? ` (${JSON.stringify(error.field.slice(0, 40))})` : '';
    const text = `${error.message}${field}: parts named "${FIELD_NAME}" are allowed, at most ${MAX_PARTS}`;
    return new RefusalError('INPUT_INVALID', text);
  }
  const text = error instanceof Error ? error.message : String(error);
  return new RefusalError('INPUT_INVALID', `multipart body: ${text}`);
}

async function receivePost(
  parts: Parts,
  request: Request,
  response: Response,
  place: Place,
): Promise<void> {
  await checkBeforeBody(parts, request, actorOf(request), place);
  if (!request.is('multipart/form-data')) {
    throw new RefusalError(
      'INPUT_INVALID',
      'POST takes multipart/form-data; PUT takes one raw file',
    );
  }
  continueBody(request, response);
  const received: ReceivedFile[] = [];
  const receive = multer({
    storage: createEngine(parts, received),
    limits: { files: MAX_PARTS, fields: 0, parts: MAX_PARTS },
  }).array(FIELD_NAME, MAX_PARTS);
  try {
    await new Promise<void>((resolve, reject) => {
      receive(request, response, (error: unknown) =>
        error ? reject(explainMultipart(error)) : resolve(),
      );
    });
    if (received.length === 0) {
      throw new RefusalError('INPUT_INVALID', `no part named "${FIELD_NAME}" in the form`);
    }
    await addReceived(parts, request, response, place, { files: received });
  } finally {
    await discardFiles(Object.values(received));
  }
}

function readPlace(request: Request): Place {
  const { suite, component } = request.params as { suite?: string; component?: string };
  const { distribution, publish } = request.query;
  if (distribution !== undefined && distribution !== 'any') {
    throw new RefusalError('INPUT_INVALID', 'distribution: "any" is all that may be asked for');
  }
  if (publish !== undefined && publish !== 'changes') {
    throw new RefusalError('INPUT_INVALID', 'publish: "changes" is all that may be asked for');
  }
  return {
    ...{ suite: suite ?? '', component },
    anyDistribution: distribution === 'any',
    publishesByChanges: publish === 'changes',
  };
}

/** The routes below /upload; express hands refusals on. */
export function createUploadRouter(parts: Parts): Router {
  const router = express.Router();
  for (const path of ['/:suite/:file', '/:suite/:component/:file']) {
    router.put(path, (request, response) =>
      receivePut(parts, request, response, readPlace(request)),
    );
  }
  for (const path of ['/:suite', '/:suite/:component']) {
    router.post(path, (request, response) =>
      receivePost(parts, request, response, readPlace(request)),
    );
  }
  return router;
}
