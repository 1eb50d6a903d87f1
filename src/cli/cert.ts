/** `aptkeep cert`: client certificates. Private keys are made here and never travel. Floor 9. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { checkName, type IssuableRole, ROLES } from '../authority/profiles.ts';
import { RefusalError, systemCode } from '../errors.ts';
import type { OutputOf } from '../operations/table.ts';
import { REVOCATION_REASONS, type RevocationReason } from '../pki/crl.ts';
import { createRequest } from '../pki/csr.ts';
import { encodePrivateKey, generatePrivateKey } from '../pki/key.ts';
import { addLeaf, addNoun, collectWords, parseCount, type Shown } from './command.ts';
import { type NewFile, reserveFiles } from './new-files.ts';
import type { Performer } from './performer.ts';
import { generatePassword, packBundle, readPasswordFile, rehearseBundle } from './pkcs12.ts';
import { RENEW } from './renew.ts';
import { formatTime, renderPairs, renderTable } from './table.ts';

type Certificate = OutputOf<'certificate.list'>['certificates'][number];

interface IssueOptions {
  role: IssuableRole;
  out: string;
  csr?: string;
  days?: number;
  suites?: string[];
  packages?: string[];
  p12?: boolean;
  p12PasswordFile?: string;
  force?: boolean;
}

export async function readTextFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new RefusalError('FILE_UNREADABLE', `${path}: ${systemCode(error) || 'cannot be read'}`);
  }
}

/** What is written: NAME.crt, ca.crt, NAME.key unless the key is another's, NAME.p12 if asked for. */
function listNewFiles(name: string, options: IssueOptions): NewFile[] {
  // Its certificate would stand where the CA's has to.
  if (name === 'ca') throw new RefusalError('INPUT_INVALID', 'the name "ca" is kept for ca.crt');
  const path = (file: string): string => join(options.out, file);
  const mustBeNew = !options.force;
  return [
    { path: path(`${name}.crt`), mode: 0o644, mustBeNew },
    { path: path('ca.crt'), mode: 0o644, mustBeNew: false },
    ...(options.csr === undefined ? [{ path: path(`${name}.key`), mode: 0o600, mustBeNew }] : []),
    ...(options.p12 ? [{ path: path(`${name}.p12`), mode: 0o600, mustBeNew }] : []),
  ];
}

/** A bundle holds a private key, so there is none for the key of a request. */
function checkIssueOptions(options: IssueOptions): void {
  if (options.p12 && options.csr !== undefined) {
    throw new RefusalError('USAGE_INVALID', '--p12 needs the private key, which --csr keeps away');
  }
  if (options.p12PasswordFile !== undefined && !options.p12) {
    throw new RefusalError('USAGE_INVALID', '--p12-password-file is for --p12');
  }
}

async function choosePassword({ p12PasswordFile }: IssueOptions): Promise<string> {
  return p12PasswordFile === undefined ? generatePassword() : readPasswordFile(p12PasswordFile);
}

async function issue(performer: Performer, name: string, options: IssueOptions): Promise<Shown> {
  const { role, days, suites, packages } = options;
  checkName(name);
  const key = generatePrivateKey();
  const csr =
    options.csr === undefined
      ? createRequest(key, { commonName: 'request' })
      : await readTextFile(options.csr);
  const files = listNewFiles(name, options);
  const bundle = options.p12
    ? { friendlyName: `${name} (aptkeep)`, key, password: await choosePassword(options) }
    : undefined;
  if (bundle) await rehearseBundle(bundle);
  const reserved = await reserveFiles(options.out, files);
  try {
    const issued = await performer.perform('certificate.issue', {
      ...{ name, role, csr },
      ...(days === undefined ? {} : { days }),
      ...(suites === undefined ? {} : { suites }),
      ...(packages === undefined ? {} : { packages }),
    });
    const certificates = `${issued.pem}${issued.issuer}`;
    const packed = bundle ? [await packBundle({ ...bundle, certificates })] : [];
    await reserved.fill([issued.pem, issued.ca, encodePrivateKey(key), ...packed]);
    const written = files.map((file) => file.path);
    // Said once; one that came from a file is known already.
    const password = options.p12PasswordFile === undefined ? bundle?.password : undefined;
    return {
      json: { ...issued, files: written, ...(password === undefined ? {} : { password }) },
      text: renderPairs([
        ['certificate', `${issued.role} ${issued.name}`],
        ['serial', issued.serial],
        ['valid until', formatTime(issued.notAfter)],
        ...written.map((file): [string, string] => ['written', file]),
        ...(password === undefined ? [] : [['password', password] as const]),
      ]),
    };
  } catch (error) {
    await reserved.abandon();
    throw error;
  }
}

/** A role and the suites and package names that it is limited to. */
function nameRole({ role, suites, packages }: Certificate): string {
  const limits = [
    ...(suites ? [suites.join(', ')] : []),
    ...(packages ? [packages.join(', ')] : []),
  ];
  return limits.length > 0 ? `${role} (${limits.join('; ')})` : role;
}

function describeStatus({ status, reason, supersededAt }: Certificate): string {
  if (status === 'valid' && supersededAt) return 'valid (renewed)';
  return reason && reason !== 'unspecified' ? `${status} (${reason})` : status;
}

function renderCertificates(certificates: readonly Certificate[]): string {
  return renderTable(
    ['NAME', 'ROLE', 'STATUS', 'VALID UNTIL', 'SERIAL'],
    certificates.map((one) => [
      one.name,
      nameRole(one),
      describeStatus(one),
      formatTime(one.notAfter),
      one.serial,
    ]),
  );
}

function describe(one: Certificate & { pem: string }): string {
  return `${renderPairs([
    ['name', one.name],
    ['role', one.role],
    ['suites', one.suites?.join(', ') ?? 'all'],
    ['packages', one.packages?.join(', ') ?? 'all'],
    ['status', one.status],
    ['serial', one.serial],
    ['valid from', formatTime(one.notBefore)],
    ['valid until', formatTime(one.notAfter)],
    ['issued', `${formatTime(one.issuedAt)} by ${one.issuedBy}`],
    ...(one.replaces ? [['asked for with', one.replaces] as const] : []),
    ...(one.supersededAt && !one.revokedAt
      ? [['renewed', `revoked from ${formatTime(one.supersededAt)} on`] as const]
      : []),
    ...(one.revokedAt
      ? [['revoked', `${formatTime(one.revokedAt)} (${one.reason})`] as const]
      : []),
    ['SHA-256', one.fingerprint],
  ])}${one.pem}`;
}

const roleOption = (): Option =>
  new Option('--role <role>', 'what its bearer may do').choices(ROLES).makeOptionMandatory();

export function addCertCommands(program: Command): void {
  const cert = addNoun(program, 'cert', 'client certificates', 'aptkeep cert list');
  addLeaf(cert, {
    usage: 'issue <name>',
    summary: 'issue a certificate; its key is made here and goes nowhere else',
    example: 'aptkeep cert issue moodle-web0 --role host --out ./moodle-web0',
    options: (command) =>
      command
        .addOption(roleOption())
        .requiredOption('--out <dir>', 'folder for NAME.crt, NAME.key and ca.crt')
        .option('--csr <file>', 'certify the key of this PKCS#10 request instead of a new one')
        .option('--days <n>', 'how long it is valid', parseCount)
        .option('--suites <names>', 'limit an uploader to these suites', collectWords)
        .option(
          '--packages <names>',
          "limit an uploader to these package names; 'lu-moodle-*' is all that begin so",
          collectWords,
        )
        .option('--p12', 'write NAME.p12 too, for a browser; its password is printed once')
        .option('--p12-password-file <file>', 'with --p12: the password is the first line of it')
        .option('--force', 'replace files that exist'),
    check: (options) => checkIssueOptions(options as unknown as IssueOptions),
    run: (performer, options, [name]) =>
      issue(performer, String(name), options as unknown as IssueOptions),
  });
  addLeaf(cert, {
    usage: 'list',
    summary: 'every certificate ever issued',
    example: 'aptkeep cert list --json',
    run: async (performer) => {
      const json = await performer.perform('certificate.list', {});
      return { json, text: renderCertificates(json.certificates) };
    },
  });
  addLeaf(cert, {
    usage: 'show <name-or-serial>',
    summary: 'the certificates of a name, or the one of a serial',
    example: 'aptkeep cert show moodle-web0',
    run: async (performer, _options, [certificate]) => {
      const json = await performer.perform('certificate.show', {
        certificate: String(certificate),
      });
      return { json, text: json.certificates.map(describe).join('\n') };
    },
  });
  addLeaf(cert, {
    usage: 'revoke <name-or-serial>',
    summary: 'revoke; refused everywhere when this returns',
    example: 'aptkeep cert revoke moodle-web3 --reason keyCompromise',
    options: (command) =>
      command.addOption(
        new Option('--reason <reason>', 'why (RFC 5280)')
          .choices(REVOCATION_REASONS)
          .default('unspecified'),
      ),
    run: async (performer, options, [certificate]) => {
      const reason = options.reason as RevocationReason;
      const input = { certificate: String(certificate), reason };
      const json = await performer.perform('certificate.revoke', input);
      return { json, text: renderCertificates(json.certificates) };
    },
  });
  addLeaf(cert, RENEW);
  addLeaf(cert, {
    usage: 'test <file>',
    summary: 'would this certificate be let in now, and if not, why (exit status 1)',
    example: 'aptkeep cert test ./moodle-web0/moodle-web0.crt',
    run: async (performer, _options, [file]) => {
      const pem = await readTextFile(String(file));
      const json = await performer.perform('certificate.test', { pem });
      const who = `${json.role ?? 'unknown'} ${json.name}, serial ${json.serial}`;
      return json.admitted
        ? { json, text: `let in: ${who}\n` }
        : { json, text: `refused: ${who}: ${json.reason}\n`, status: 1 };
    },
  });
}
