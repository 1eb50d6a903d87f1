/** The OpenAPI 3.1 document, from the table of operations and nothing else. Floor 7. */
import { z } from 'zod';
import { REFUSALS, type RefusalCode } from '../errors.ts';
import type { Operation, Parts } from '../operations/operation.ts';
import { waitingDescription } from '../operations/packages.ts';
import { OPERATIONS } from '../operations/table.ts';
import { STATUSES } from './refusals.ts';
import { REPRESENTATIONS } from './representations.ts';
import { CREATES, pathKeys, ROUTES, type Route, type RoutedName } from './routes.ts';

type Json = Record<string, unknown>;

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
  }) as Json;
  return rest;
}

const PROBLEM = {
  description: 'A refusal (RFC 9457)',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};

function describeParameters(route: Route, input: Json): { parameters: Json[]; body: Json } {
  const inPath = pathKeys(route.path);
  const properties = (input.properties ?? {}) as Json;
  const required = (input.required ?? []) as string[];
  const rest = Object.entries(properties).filter(([key]) => !inPath.includes(key));
  const parameters: Json[] = inPath.map((name) => ({
    name,
    in: 'path',
    required: true,
    schema: properties[name],
  }));
  if (route.method === 'POST') {
    return {
      parameters,
      body: {
        type: 'object',
        properties: Object.fromEntries(rest),
        required: required.filter((key) => !inPath.includes(key)),
      },
    };
  }
  for (const [name, schema] of rest) {
    parameters.push({ name, in: 'query', required: required.includes(name), schema });
  }
  return { parameters, body: {} };
}

function describeOperation(name: RoutedName, operation: Operation): Json {
  const route = ROUTES[name];
  const { parameters, body } = describeParameters(route, schemaOf(operation.input, 'input'));
  const schema = schemaOf(operation.output, 'output');
  const status = CREATES.includes(name) ? '201' : '200';
  const text = (types: object = {}): Json =>
    Object.fromEntries(Object.keys(types).map((type) => [type, { schema: { type: 'string' } }]));
  const { accepts, offers } = REPRESENTATIONS[name] ?? {};
  return {
    operationId: name,
    summary: operation.summary,
    description: `Roles: ${operation.roles.join(', ')}.`,
    tags: [name.split('.')[0]],
    parameters,
    ...(route.method === 'POST'
      ? { requestBody: { content: { 'application/json': { schema: body }, ...text(accepts) } } }
      : {}),
    responses: {
      [status]: {
        description: 'Done',
        content: { 'application/json': { schema }, ...text(offers) },
      },
      default: PROBLEM,
    },
  };
}

/** The two ways to hand over bytes; their answer is the output of `package.add`. */
function describeUploads(): Json {
  const { roles, output } = OPERATIONS['package.add'];
  const schema = schemaOf(output.shape.packages.element, 'output');
  const many = { type: 'object', properties: { packages: { type: 'array', items: schema } } };
  const waiting = schemaOf(waitingDescription, 'output');
  const distribution = {
    name: 'distribution',
    in: 'query',
    description:
      'any: take a .changes whose Distribution is another suite, where no signature is asked for',
    required: false,
    schema: { type: 'string', enum: ['any'] },
  };
  const publish = {
    name: 'publish',
    in: 'query',
    description:
      'changes: a file sent alone that is no .changes waits for one that names it, so that all of them are published together',
    required: false,
    schema: { type: 'string', enum: ['changes'] },
  };
  const parameter = (name: string): Json => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  });
  const answer = (description: string, one: Json): Json => ({
    description,
    content: { 'application/json': { schema: one } },
  });
  const describe = (summary: string, names: string[], body: Json, one: Json): Json => ({
    summary,
    description: `Roles: ${roles.join(', ')}. Answered when apt can install the package. A .changes or .dsc is taken with all that it names, or not at all.`,
    tags: ['package'],
    parameters: [
      ...names.map(parameter),
      distribution,
      ...(names.includes('file') ? [publish] : []),
    ],
    requestBody: { required: true, content: body },
    responses: {
      201: answer('Added', one),
      200: answer('Exactly these bytes were there already', one),
      ...(names.includes('file') ? { 202: kept } : {}),
      default: PROBLEM,
    },
  });
  const kept = answer('Kept until a .changes or .dsc names it; not published', {
    type: 'object',
    properties: { waiting },
  });
  const raw = { 'application/octet-stream': { schema: {} } };
  const part = { type: 'string', contentMediaType: 'application/octet-stream' };
  const form = {
    'multipart/form-data': {
      schema: { type: 'object', properties: { package: { type: 'array', items: part } } },
    },
  };
  const either = { oneOf: [schema, many] };
  const paths = {
    '/upload/{suite}/{file}': { put: describe('Upload one file', ['suite', 'file'], raw, either) },
    '/upload/{suite}/{component}/{file}': {
      put: describe('Upload one file to a component', ['suite', 'component', 'file'], raw, either),
    },
    '/upload/{suite}': { post: describe('Upload files as a form', ['suite'], form, either) },
    '/upload/{suite}/{component}': {
      post: describe('Upload files as a form to a component', ['suite', 'component'], form, either),
    },
  };
  // Short for curl and dput, and below /v1 like every other operation.
  const versioned = Object.entries(paths).map(([path, item]) => [`/v1${path}`, item]);
  return { ...paths, ...Object.fromEntries(versioned) };
}

function describeProblemSchema(): Json {
  const codes = Object.keys(REFUSALS) as RefusalCode[];
  return {
    type: 'object',
    required: ['type', 'title', 'status', 'detail', 'code'],
    properties: {
      type: { type: 'string' },
      title: { type: 'string' },
      status: { type: 'integer', enum: [...new Set([...Object.values(STATUSES), 500])].sort() },
      detail: { type: 'string', description: 'what was refused and why' },
      code: { type: 'string', enum: [...codes, 'INTERNAL_ERROR'] },
    },
  };
}

/** The whole document. */
export function describeApi(parts: Pick<Parts, 'url'>): Json {
  const paths: Record<string, Json> = {};
  for (const [name, route] of Object.entries(ROUTES) as [RoutedName, Route][]) {
    const operation = OPERATIONS[name] as unknown as Operation;
    paths[route.path] = {
      ...paths[route.path],
      [route.method.toLowerCase()]: describeOperation(name, operation),
    };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'aptkeep',
      version: '1',
      description:
        'A private, signed Debian package repository. Every request needs a client certificate of its CA.',
    },
    servers: [{ url: parts.url }],
    security: [{ clientCertificate: [] }],
    paths: { ...paths, ...describeUploads() },
    components: {
      securitySchemes: { clientCertificate: { type: 'mutualTLS' } },
      schemas: { Problem: describeProblemSchema() },
    },
  };
}
