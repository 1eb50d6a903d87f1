/**
 * The table of refusals: every expected "no" the program can say, with the title a person reads.
 * Source of truth for codes; http/refusals.ts and cli/exit.ts give each one a status. Floor 0.
 */

export const REFUSALS = {
  INPUT_INVALID: 'Malformed request',
  CONFIG_INVALID: 'Configuration not accepted',
  USAGE_INVALID: 'Wrong usage',
  CSR_MALFORMED: 'Certificate request not accepted',
  KEY_UNACCEPTABLE: 'Key not accepted',
  ROLE_FORBIDDEN: 'Role not allowed',
  SUITE_FORBIDDEN: 'Suite not allowed',
  PACKAGE_FORBIDDEN: 'Package not allowed',
  ORIGIN_FORBIDDEN: 'Cross-site request refused',
  CERTIFICATE_REVOKED: 'Certificate revoked',
  CERTIFICATE_EXPIRED: 'Certificate expired',
  CERTIFICATE_NOT_YET_VALID: 'Certificate not yet valid',
  CERTIFICATE_NOT_RECORDED: 'Certificate unknown to this server',
  PATH_UNKNOWN: 'Not found',
  METHOD_NOT_ALLOWED: 'Method not allowed',
  SUITE_UNKNOWN: 'No such suite',
  COMPONENT_UNKNOWN: 'No such component',
  PACKAGE_UNKNOWN: 'No such package',
  PUBLICATION_UNKNOWN: 'No such publication',
  CONTENTS_GONE: 'Contents gone',
  CERTIFICATE_UNKNOWN: 'No such certificate',
  HOST_UNKNOWN: 'No such host',
  GROUP_UNKNOWN: 'No such group',
  PACKAGE_CONFLICT: 'Other bytes under the same name, version and architecture',
  SUITE_EXISTS: 'Suite exists already',
  SUITE_IN_USE: 'Suite in use',
  IDENTITY_KEPT: 'Identity kept',
  HOST_EXISTS: 'Host exists already',
  ROTATION_STATE: 'Rotation not possible now',
  ROTATION_FOLLOWERS: 'Hosts still use what is to be taken away',
  GROUP_EXISTS: 'Group exists already',
  GROUP_IN_USE: 'Group in use',
  RENEWED_TOO_OFTEN: 'Renewed too often',
  AUTHORITY_FOREIGN: 'Certificates come from another authority',
  ALREADY_INITIALISED: 'Already initialised',
  NOT_INITIALISED: 'Not initialised',
  DIRECTORY_IN_USE: 'Data directory in use',
  CHECK_FAILED: 'Check not finished',
  ADDRESS_UNAVAILABLE: 'Address not available',
  TOO_LARGE: 'Too large',
  RANGE_UNSATISFIABLE: 'Range not satisfiable',
  PACKAGE_MALFORMED: 'Not a well-formed package',
  PACKAGE_UNACCEPTABLE: 'Package not accepted',
  UPLOAD_INCOMPLETE: 'Files missing',
  SIGNATURE_REQUIRED: 'Signature required',
  SIGNER_UNKNOWN: 'No such signer',
  SIGNER_IN_USE: 'Signer in use',
  BACKUP_UNACCEPTABLE: 'Backup not accepted',
  DIRECTORY_UNSUITABLE: 'Directory not accepted',
  SOURCE_UNACCEPTABLE: 'Repository not accepted',
  CRL_UNACCEPTABLE: 'Revocation list not accepted',
  CRL_STALE: 'Revocation list out of date',
  DRAINING: 'Server is stopping',
  SPACE_EXHAUSTED: 'No room left',
  SERVER_UNREACHABLE: 'Server not reached',
  FILE_UNREADABLE: 'File not readable',
  KEY_EXPOSED: 'Key open to others',
  KEY_LOCKED: 'Key not unlocked',
  KEY_ELSEWHERE: 'Key held elsewhere',
  SIGNER_FAILED: 'Signer failed',
  PROGRAM_MISSING: 'Program not installed',
} as const;

export type RefusalCode = keyof typeof REFUSALS;

/** An expected "no". `message` names what was refused and why, never a server path or a secret. */
export class RefusalError extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode, detail: string) {
    super(detail);
    this.name = 'RefusalError';
    this.code = code;
  }

  get title(): string {
    return REFUSALS[this.code];
  }
}

/** The operating system's code of an error (`ENOENT`, `ENOSPC`), or '' where it has none. */
export function systemCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}
