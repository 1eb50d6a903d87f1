/**
 * What the code that runs now is inside of: the transactions and the locks that it holds, kept
 * along its asynchronous calls. With it a wait for oneself is an error instead of a hang, in every
 * adapter alike. Source of truth: the port (sql.ts); node:async_hooks. Floor 2.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

interface Scope {
  /** The catalog: two catalogs know nothing of each other. */
  owner: object;
  /** `transaction`, or `lock "NAME"`. */
  what: string;
  /** False once the work is over: what it left running in the background is outside again. */
  open: boolean;
  outer: Scope | undefined;
}

const scopes = new AsyncLocalStorage<Scope>();

/** Runs `work` inside a scope of `owner`. */
export async function runInside<Result>(
  owner: object,
  what: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const scope: Scope = { owner, what, open: true, outer: scopes.getStore() };
  try {
    return await scopes.run(scope, work);
  } finally {
    scope.open = false;
  }
}

/** Whether the caller is inside the scope `what` of `owner`; inside any, without `what`. */
export function isInside(owner: object, what?: string): boolean {
  for (let scope = scopes.getStore(); scope !== undefined; scope = scope.outer) {
    if (scope.open && scope.owner === owner && (what === undefined || scope.what === what)) {
      return true;
    }
  }
  return false;
}

/** @throws Error where the caller would wait for itself. */
export function refuseInside(owner: object, what: string, wanted: string): void {
  if (isInside(owner, what)) {
    throw new Error(`${wanted} was asked for inside a ${what}: it would wait for itself for ever`);
  }
}
