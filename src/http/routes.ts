/**
 * Where each operation is mounted under /v1: one resource per noun. Read by api.ts, by openapi.ts
 * and by the command line's remote face. Complete by type. Floor 7.
 */
import type { OperationName } from '../operations/table.ts';

/** `{name}` in a path is a key of the operation's input; the rest is query or JSON body. */
export interface Route {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
}

const get = (path: string): Route => ({ method: 'GET', path });
const post = (path: string): Route => ({ method: 'POST', path });

/** Bytes come by /upload and /v1/upload: that operation has no JSON form. */
export type RoutedName = Exclude<OperationName, 'package.add'>;

export const ROUTES: Readonly<Record<RoutedName, Route>> = {
  'status.show': get('/v1/status'),
  'certificate.issue': post('/v1/certificates'),
  'certificate.self': get('/v1/self'),
  'certificate.renew': post('/v1/renewal'),
  'certificate.list': get('/v1/certificates'),
  'certificate.test': post('/v1/certificates/test'),
  'certificate.show': get('/v1/certificates/{certificate}'),
  'certificate.revoke': post('/v1/certificates/{certificate}/revoke'),
  'authority.list': get('/v1/authorities'),
  'authority.rotate': post('/v1/authorities/{authority}/rotate'),
  'authority.finish': post('/v1/authorities/{authority}/finish'),
  'crl.show': get('/v1/crl'),
  'crl.refresh': post('/v1/crl/refresh'),
  'crl.export': get('/v1/crl/export'),
  'suite.create': post('/v1/suites'),
  'suite.list': get('/v1/suites'),
  'suite.show': get('/v1/suites/{suite}'),
  'suite.set': post('/v1/suites/{suite}'),
  'suite.remove': { method: 'DELETE', path: '/v1/suites/{suite}' },
  'suite.publish': post('/v1/suites/{suite}/publish'),
  'suite.import': post('/v1/suites/{suite}/import'),
  'import.list': get('/v1/imports'),
  'suite.export': post('/v1/export'),
  'publication.list': get('/v1/suites/{suite}/publications'),
  'publication.show': get('/v1/suites/{suite}/publications/{number}'),
  'publication.diff': get('/v1/suites/{suite}/publications/{from}/diff/{to}'),
  'publication.rollback': post('/v1/suites/{suite}/rollback'),
  'package.list': get('/v1/packages'),
  'package.show': get('/v1/packages/{package}'),
  'package.copy': post('/v1/suites/{to}/packages/copy'),
  'package.phase': post('/v1/suites/{suite}/packages/phase'),
  'package.remove': post('/v1/suites/{suite}/packages/remove'),
  'signer.add': post('/v1/signers'),
  'signer.list': get('/v1/signers'),
  'signer.remove': { method: 'DELETE', path: '/v1/signers/{signer}' },
  'key.show': get('/v1/key'),
  'key.export': get('/v1/key/export'),
  'key.rotate': post('/v1/key/rotate'),
  'key.finish': post('/v1/key/finish'),
  'key.package': get('/v1/key/package'),
  'host.add': post('/v1/hosts'),
  'host.list': get('/v1/hosts'),
  'host.show': get('/v1/hosts/{host}'),
  'host.apt': get('/v1/hosts/{host}/apt'),
  'host.set': post('/v1/hosts/{host}'),
  'host.remove': { method: 'DELETE', path: '/v1/hosts/{host}' },
  'group.create': post('/v1/groups'),
  'group.list': get('/v1/groups'),
  'group.show': get('/v1/groups/{group}'),
  'group.set': post('/v1/groups/{group}'),
  'group.remove': { method: 'DELETE', path: '/v1/groups/{group}' },
  'host.enrol': post('/v1/enrolment'),
  'host.report': post('/v1/self/report'),
  'server.renew': post('/v1/server/renew'),
  'check.start': post('/v1/check'),
  'check.repair': post('/v1/check/repair'),
  'check.show': get('/v1/check'),
  'sweep.show': get('/v1/sweep'),
  'sweep.run': post('/v1/sweep'),
  'backup.snapshot': post('/v1/backup'),
  'audit.list': get('/v1/audit'),
  'audit.verify': get('/v1/audit/verify'),
};

/** Whose answer is 201 rather than 200: it hands out what there was not before. */
export const CREATES: readonly RoutedName[] = [
  'certificate.issue',
  'certificate.renew',
  'host.enrol',
];

/** The keys in a path, in order. */
export function pathKeys(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
}
