/** The operations, mounted under /v1. No route here does anything but `perform`. Floor 7. */
import express, { type Request, type Router } from 'express';
import { RefusalError } from '../errors.ts';
import type { Parts } from '../operations/operation.ts';
import { perform } from '../operations/perform.ts';
import { describeApi } from './openapi.ts';
import { pathKeys, ROUTES, type Route, type RoutedName } from './routes.ts';
import { actorOf } from './session.ts';

const MAX_JSON_BYTES = '1mb';

function readInput(request: Request, route: Route): unknown {
  const body: unknown = request.body ?? {};
  if (
    route.method === 'POST' &&
    (typeof body !== 'object' || body === null || Array.isArray(body))
  ) {
    throw new RefusalError('INPUT_INVALID', 'the body must be one JSON object');
  }
  const rest = route.method === 'POST' ? (body as object) : request.query;
  const fromPath = Object.fromEntries(
    pathKeys(route.path).map((key) => [key, request.params[key]]),
  );
  return { ...rest, ...fromPath };
}

export function createApiRouter(parts: Parts): Router {
  const router = express.Router();
  router.get('/v1/openapi.json', (_request, response) => {
    response.json(describeApi(parts));
  });
  router.use((request, response, next) => {
    if (request.headers.expect?.toLowerCase() === '100-continue') response.writeContinue();
    next();
  });
  router.use(express.json({ limit: MAX_JSON_BYTES, strict: true }));
  for (const [name, route] of Object.entries(ROUTES) as [RoutedName, Route][]) {
    const path = route.path.replace(/\{(\w+)\}/g, ':$1');
    const method = route.method.toLowerCase() as 'get' | 'post' | 'delete';
    router[method](path, async (request, response) => {
      const output = await perform(parts, actorOf(request), name, readInput(request, route));
      response.status(name === 'certificate.issue' ? 201 : 200).json(output);
    });
  }
  return router;
}
