/**
 * The one place that checks the role, validates, runs and writes the audit log. Floor 5.
 */
import { type ZodError, z } from 'zod';
import type { Role } from '../authority/profiles.ts';
import { type AuditNote, appendAudit } from '../catalog/audit.ts';
import { RefusalError } from '../errors.ts';
import { type Actor, type Operation, type Parts, spendReserve } from './operation.ts';
import { type InputOf, OPERATIONS, type OperationName, type OutputOf } from './table.ts';

function describeFault(error: ZodError): string {
  return error.issues
    .map((issue) => `${issue.path.join('.') || 'input'}: ${issue.message}`)
    .join('; ');
}

const strictSchemas = new WeakMap<Operation, z.ZodType>();

/** Unknown keys are refused: a misspelt option must not be silently without effect. */
function strictSchemaOf(operation: Operation): z.ZodType {
  const { input } = operation;
  if (!(input instanceof z.ZodObject)) return input;
  // Made once: a schema is compiled when it parses for the first time.
  const schema = strictSchemas.get(operation) ?? input.strict();
  strictSchemas.set(operation, schema);
  return schema;
}

function parseInput(operation: Operation, input: unknown): unknown {
  const parsed = strictSchemaOf(operation).safeParse(input);
  if (parsed.success) return parsed.data;
  throw new RefusalError('INPUT_INVALID', describeFault(parsed.error));
}

type Deed = { operation: string; subject: string; outcome: string; detail: string };

function createNote(parts: Parts, actor: Actor, deed: Deed): AuditNote {
  const { name, role, serial, address } = actor;
  return {
    isWritten: false,
    entry: () => {
      const at = new Date(parts.now()).toISOString();
      return { at, actor: name, role, serial, address, ...deed };
    },
  };
}

async function writeNote(parts: Parts, note: AuditNote): Promise<void> {
  if (note.isWritten) return;
  await appendAudit(parts.authority.catalog, [note.entry()]);
  note.isWritten = true;
}

const writeAudit = (parts: Parts, actor: Actor, deed: Deed): Promise<void> =>
  writeNote(parts, createNote(parts, actor, deed));

/** @throws RefusalError ROLE_FORBIDDEN naming what was asked for and the roles that may. */
export function checkRole(actor: Actor, roles: readonly Role[], what: string): void {
  if (roles.includes(actor.role)) return;
  throw new RefusalError(
    'ROLE_FORBIDDEN',
    `${what} needs the role ${roles.join(' or ')}; ${actor.name} is ${actor.role}`,
  );
}

/**
 * Ask what an operation will refuse anyway before its input has arrived; a refusal is written to
 * the audit log as the operation's own would be.
 * @throws RefusalError ROLE_FORBIDDEN, and those of `check`.
 */
export async function checkAhead(
  parts: Parts,
  actor: Actor,
  request: { operation: OperationName; subject: string },
  check: () => Promise<void>,
): Promise<void> {
  const operation = OPERATIONS[request.operation] as unknown as Operation;
  try {
    checkRole(actor, operation.roles, request.operation);
    await check();
  } catch (error) {
    await auditFailure(parts, actor, operation, request, error);
    throw error;
  }
}

/** Once more with the reserve of a full disk; every operation that spends it is safe to repeat. */
async function withReserve<Result>(
  parts: Parts,
  operation: Operation,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (operation.spendsReserve !== true || !(await spendReserve(parts, error))) throw error;
    return work();
  }
}

/**
 * Perform an operation for an actor.
 * @throws RefusalError ROLE_FORBIDDEN, INPUT_INVALID, and those of the operation.
 */
export async function perform<Name extends OperationName>(
  parts: Parts,
  actor: Actor,
  name: Name,
  input: InputOf<Name> | unknown,
): Promise<OutputOf<Name>> {
  const operation = OPERATIONS[name] as unknown as Operation;
  let subject = '';
  try {
    checkRole(actor, operation.roles, name);
    const parsed = parseInput(operation, input);
    subject = operation.subject?.(parsed) ?? '';
    const done = { operation: name, subject, outcome: 'done', detail: '' };
    const note = createNote(parts, actor, done);
    const run = (): Promise<unknown> => operation.run(parts, parsed, actor, note);
    const output = operation.output.parse(await withReserve(parts, operation, run));
    if (operation.changes) {
      // Answered when it is in force in every process that judges requests.
      await Promise.all([parts.authority.trust.settled(), parts.readers.settled()]);
      await withReserve(parts, operation, () => writeNote(parts, note));
    }
    return output as OutputOf<Name>;
  } catch (error) {
    await auditFailure(parts, actor, operation, { operation: name, subject }, error);
    throw error;
  }
}

/**
 * A deed of the local command line that is no operation, because what it is given may not travel;
 * audited as one.
 */
export async function auditDeed<Result>(
  parts: Parts,
  actor: Actor,
  entry: { operation: string; subject: string },
  deed: () => Promise<Result>,
): Promise<Result> {
  try {
    const result = await deed();
    await writeAudit(parts, actor, { ...entry, outcome: 'done', detail: '' });
    return result;
  } catch (error) {
    await auditFailure(parts, actor, { changes: true }, entry, error);
    throw error;
  }
}

/** What changes nothing and was allowed to be asked leaves no trace when it fails. */
async function auditFailure(
  parts: Parts,
  actor: Actor,
  operation: Pick<Operation, 'changes'>,
  entry: { operation: string; subject: string },
  error: unknown,
): Promise<void> {
  const isRefusal = error instanceof RefusalError;
  if (!operation.changes && !(isRefusal && error.code.endsWith('_FORBIDDEN'))) return;
  const outcome = isRefusal ? `refused ${error.code}` : 'failed';
  const detail = isRefusal ? error.message : 'internal error';
  // On a full disk the refusal itself must still reach the caller.
  await writeAudit(parts, actor, { ...entry, outcome, detail }).catch((cause: unknown) =>
    parts.log.error({ event: 'audit.failed', cause: String(cause), ...entry, outcome }),
  );
}
