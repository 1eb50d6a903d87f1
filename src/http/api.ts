/** The operations, mounted under /v1. No route here does anything but `perform`. Floor 7. */
import express, { type Request, type Response, type Router } from 'express';
import { RefusalError } from '../errors.ts';
import type { Parts } from '../operations/operation.ts';
import { perform } from '../operations/perform.ts';
import { describeApi } from './openapi.ts';
import { findReader, isOtherBody, REPRESENTATIONS } from './representations.ts';
import { CREATES, pathKeys, ROUTES, type Route, type RoutedName } from './routes.ts';
import { actorOf } from './session.ts';

const MAX_JSON_BYTES = '1mb';

/** @throws RefusalError INPUT_INVALID rather than leave anything that was sent without effect. */
function readInput(name: RoutedName, request: Request, route: Route): unknown {
  const sent: unknown = request.body ?? {};
  const reader = Buffer.isBuffer(sent) ? findReader(name, request) : undefined;
  const body: unknown = reader ? reader(sent as Buffer) : sent;
  const isOther =
    !reader && request.is('json') === false && request.headers['content-length'] !== '0';
  if (
    route.method === 'POST' &&
    (isOther || typeof body !== 'object' || body === null || Array.isArray(body))
  ) {
    throw new RefusalError('INPUT_INVALID', 'the body must be one JSON object (application/json)');
  }
  const rest = route.method === 'POST' ? (body as object) : request.query;
  const keys = pathKeys(route.path);
  const twice = keys.find((key) => Object.hasOwn(rest, key));
  if (twice !== undefined) {
    throw new RefusalError('INPUT_INVALID', `${twice}: it stands in the path already`);
  }
  return { ...rest, ...Object.fromEntries(keys.map((key) => [key, request.params[key]])) };
}

/** A path that is there, asked with another method: RFC 9110 section 15.5.6. */
function refuseOtherMethods(router: Router, routes: readonly Route[]): void {
  for (const path of new Set(routes.map((route) => route.path))) {
    const methods = routes.filter((route) => route.path === path).map((route) => route.method);
    const allowed = methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
    router.all(toExpressPath(path), (request, response) => {
      response.set('Allow', allowed.join(', '));
      throw new RefusalError(
        'METHOD_NOT_ALLOWED',
        `${request.method}: ${allowed.join(' and ')} are allowed here`,
      );
    });
  }
}

/** JSON, unless the client asks for a form that the operation offers. */
function sendOutput(name: RoutedName, request: Request, response: Response, output: object): void {
  response.status(CREATES.includes(name) ? 201 : 200);
  const offers = REPRESENTATIONS[name]?.offers ?? {};
  const wanted = request.accepts(['application/json', ...Object.keys(offers)]);
  const render = wanted === false ? undefined : offers[wanted];
  if (render) response.type(String(wanted)).send(render(output as Record<string, unknown>));
  else response.json(output);
}

const toExpressPath = (path: string): string => path.replace(/\{(\w+)\}/g, ':$1');

export function createApiRouter(parts: Parts): Router {
  // Strict: `suites/` with an empty name must not answer for `suites`.
  const router = express.Router({ strict: true, caseSensitive: true });
  router.get('/v1/openapi.json', (_request, response) => {
    response.json(describeApi(parts));
  });
  router.use((request, response, next) => {
    if (request.headers.expect?.toLowerCase() === '100-continue') response.writeContinue();
    next();
  });
  router.use(express.json({ limit: MAX_JSON_BYTES, strict: true }));
  router.use(express.raw({ limit: MAX_JSON_BYTES, type: isOtherBody }));
  for (const [name, route] of Object.entries(ROUTES) as [RoutedName, Route][]) {
    const method = route.method.toLowerCase() as 'get' | 'post' | 'delete';
    router[method](toExpressPath(route.path), async (request, response) => {
      const input = readInput(name, request, route);
      sendOutput(name, request, response, await perform(parts, actorOf(request), name, input));
    });
  }
  refuseOtherMethods(router, Object.values(ROUTES));
  return router;
}
