/**
 * Everything that is not the hot path: uploads, the API, the public files. One screen of mounts.
 * Floor 7.
 */
import express, { type ErrorRequestHandler, type Express, type Request } from 'express';
import { exportCrls } from '../authority/crl.ts';
import { readServerCa } from '../authority/server-certificate.ts';
import { RefusalError } from '../errors.ts';
import { type Parts, READERS } from '../operations/operation.ts';
import { checkRole } from '../operations/perform.ts';
import { createKeyringSigner } from '../repository/signed-keyring.ts';
import { exportPublicKeys } from '../signing/signing-key.ts';
import { createApiRouter } from './api.ts';
import { answerHealth, HEALTH_TYPE } from './health.ts';
import { readRest } from './linger.ts';
import { createPastRouter } from './past.ts';
import { sendRefusal } from './refusals.ts';
import { actorOf } from './session.ts';
import { createUploadRouter } from './upload.ts';

/**
 * A browser sends its certificate unasked, so a write must come from this server's own pages or
 * from no page at all.
 * @throws RefusalError ORIGIN_FORBIDDEN
 */
function refuseCrossSite(request: Request): void {
  if (['GET', 'HEAD', 'OPTIONS'].includes(request.method)) return;
  const site = request.headers['sec-fetch-site'];
  const { origin, host } = request.headers;
  const foreignSite = site !== undefined && site !== 'same-origin' && site !== 'none';
  const foreignOrigin = origin !== undefined && origin !== `https://${host}`;
  if (foreignSite || foreignOrigin) {
    throw new RefusalError('ORIGIN_FORBIDDEN', 'a write must not come from another site');
  }
}

/** express' own faults (a body that is no JSON, a path that does not decode) as refusals. */
function explain(error: unknown): unknown {
  const { status, expose, message } = error as {
    status?: number;
    expose?: boolean;
    message?: string;
  };
  if (error instanceof RefusalError || status === undefined || status >= 500) return error;
  if (status === 413) return new RefusalError('TOO_LARGE', 'the body is larger than the API takes');
  return new RefusalError(
    'INPUT_INVALID',
    expose === false ? 'malformed request' : String(message),
  );
}

function createErrorHandler(parts: Parts): ErrorRequestHandler {
  return (error: unknown, request, response, _next) => {
    readRest(request);
    parts.activity.refusals += 1;
    sendRefusal(response, explain(error), parts.log);
  };
}

/** The public files that every certificate may read. */
function mountPublicFiles(app: Express, parts: Parts): void {
  const { authority, repository } = parts;
  const serve = (
    path: string,
    type: string,
    read: () => Promise<Buffer | string> | Buffer | string,
  ) =>
    app.get(path, async (_request, response) => {
      response
        .type(type)
        .set('Cache-Control', 'private, no-cache')
        .send(await read());
    });
  const keyring = () => exportPublicKeys(repository.signingKeys);
  serve('/archive-keyring.gpg', 'application/pgp-keys', () => keyring().binary);
  serve('/archive-keyring.asc', 'text/plain', () => keyring().armored);
  serve('/archive-keyring.asc.sig', 'text/plain', createKeyringSigner(repository));
  serve('/ca.crt', 'application/x-pem-file', () => readServerCa(authority));
  serve('/crl.pem', 'application/x-pem-file', () => exportCrls(authority.trust));
}

/** Health for every certificate, metrics for those who may read everything. */
function mountHealth(app: Express, parts: Parts): void {
  for (const path of ['/healthz', '/readyz', '/metrics']) {
    app.get(path, async (request, response) => {
      if (path === '/metrics') checkRole(actorOf(request), READERS, path);
      // A request that came this far met a server that is not draining.
      const answer = await answerHealth(parts, path, false);
      response
        .status(answer?.status ?? 404)
        .type(HEALTH_TYPE)
        .send(answer?.body);
    });
  }
}

/** The express application; the caller has remembered the actor of each request. */
export function createApp(parts: Parts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('query parser', 'simple');
  app.use((request, _response, next) => {
    refuseCrossSite(request);
    next();
  });
  app.use(['/upload', '/v1/upload'], createUploadRouter(parts));
  app.use(createPastRouter(parts));
  mountPublicFiles(app, parts);
  mountHealth(app, parts);
  app.use(createApiRouter(parts));
  app.use((request) => {
    throw new RefusalError(
      'PATH_UNKNOWN',
      `${request.method} ${request.path.slice(0, 200)}: nothing is served here`,
    );
  });
  app.use(createErrorHandler(parts));
  return app;
}
