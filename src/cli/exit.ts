/** Refusal -> exit status: 1 refused or failed, 2 wrong usage; the only such table. Floor 9. */
import { REFUSALS, type RefusalCode, RefusalError } from '../errors.ts';

const USAGE: readonly RefusalCode[] = ['CONFIG_INVALID', 'USAGE_INVALID'];

export const EXIT_STATUSES = Object.fromEntries(
  (Object.keys(REFUSALS) as RefusalCode[]).map((code) => [code, USAGE.includes(code) ? 2 : 1]),
) as Readonly<Record<RefusalCode, 1 | 2>>;

/** What standard error says of a failure, and the status to leave with. */
export function describeFailure(error: unknown): { message: string; status: number } {
  if (error instanceof RefusalError) {
    const title = error.title.charAt(0).toLowerCase() + error.title.slice(1);
    return { message: `aptkeep: ${title}: ${error.message}`, status: EXIT_STATUSES[error.code] };
  }
  const cause = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { message: `aptkeep: internal error: ${cause}`, status: 1 };
}
