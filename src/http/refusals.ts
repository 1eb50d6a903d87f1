/**
 * Refusal -> status and problem+json (RFC 9457); the only such table. Complete by type: a code
 * without a status does not compile. Floor 7.
 */
import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { REFUSALS, type RefusalCode, RefusalError } from '../errors.ts';
import type { Logger } from '../log.ts';

export const STATUSES: Readonly<Record<RefusalCode, number>> = {
  INPUT_INVALID: 400,
  CONFIG_INVALID: 400,
  USAGE_INVALID: 400,
  CSR_MALFORMED: 400,
  KEY_UNACCEPTABLE: 400,
  ROLE_FORBIDDEN: 403,
  SUITE_FORBIDDEN: 403,
  PACKAGE_FORBIDDEN: 403,
  ORIGIN_FORBIDDEN: 403,
  CERTIFICATE_REVOKED: 403,
  CERTIFICATE_EXPIRED: 403,
  CERTIFICATE_NOT_YET_VALID: 403,
  CERTIFICATE_NOT_RECORDED: 403,
  PATH_UNKNOWN: 404,
  METHOD_NOT_ALLOWED: 405,
  SUITE_UNKNOWN: 404,
  COMPONENT_UNKNOWN: 404,
  PACKAGE_UNKNOWN: 404,
  PUBLICATION_UNKNOWN: 404,
  CONTENTS_GONE: 409,
  CERTIFICATE_UNKNOWN: 404,
  HOST_UNKNOWN: 404,
  GROUP_UNKNOWN: 404,
  PACKAGE_CONFLICT: 409,
  SUITE_EXISTS: 409,
  SUITE_IN_USE: 409,
  IDENTITY_KEPT: 409,
  HOST_EXISTS: 409,
  ROTATION_STATE: 409,
  ROTATION_FOLLOWERS: 409,
  GROUP_EXISTS: 409,
  GROUP_IN_USE: 409,
  RENEWED_TOO_OFTEN: 429,
  AUTHORITY_FOREIGN: 409,
  ALREADY_INITIALISED: 409,
  NOT_INITIALISED: 503,
  DIRECTORY_IN_USE: 503,
  CHECK_FAILED: 500,
  ADDRESS_UNAVAILABLE: 503,
  TOO_LARGE: 413,
  RANGE_UNSATISFIABLE: 416,
  PACKAGE_MALFORMED: 422,
  PACKAGE_UNACCEPTABLE: 422,
  UPLOAD_INCOMPLETE: 422,
  SIGNATURE_REQUIRED: 403,
  SIGNER_UNKNOWN: 404,
  SIGNER_IN_USE: 409,
  BACKUP_UNACCEPTABLE: 422,
  DIRECTORY_UNSUITABLE: 409,
  SOURCE_UNACCEPTABLE: 422,
  CRL_UNACCEPTABLE: 422,
  CRL_STALE: 503,
  DRAINING: 503,
  SPACE_EXHAUSTED: 507,
  SERVER_UNREACHABLE: 502,
  FILE_UNREADABLE: 400,
  KEY_EXPOSED: 503,
  KEY_LOCKED: 503,
  KEY_ELSEWHERE: 409,
  SIGNER_FAILED: 503,
  PROGRAM_MISSING: 503,
};

/** `type` names the code; `detail` says what was refused and why. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: RefusalCode | 'INTERNAL_ERROR';
}

function describeProblem(error: unknown, log: Logger): Problem {
  if (error instanceof RefusalError) {
    const { code, message } = error;
    const type = `urn:aptkeep:refusal:${code.toLowerCase().replaceAll('_', '-')}`;
    return { type, title: REFUSALS[code], status: STATUSES[code], detail: message, code };
  }
  const request = randomUUID();
  const cause = error instanceof Error ? (error.stack ?? error.message) : String(error);
  log.error({ event: 'internal error', request, cause });
  return {
    type: 'urn:aptkeep:refusal:internal-error',
    title: 'Internal error',
    status: 500,
    detail: `internal error; the log has its cause under request ${request}`,
    code: 'INTERNAL_ERROR',
  };
}

/**
 * Answer with a refusal. The reason phrase says it too, because it is all that apt shows; the body
 * is never empty, because apt retries nothing else. Nothing is sent where an answer has begun.
 */
export function sendRefusal(
  response: ServerResponse,
  error: unknown,
  log: Logger,
  headers: Record<string, string> = {},
): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const problem = describeProblem(error, log);
  const body = `${JSON.stringify(problem)}\n`;
  response.writeHead(problem.status, problem.title, {
    'Content-Type': 'application/problem+json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    ...headers,
  });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}
