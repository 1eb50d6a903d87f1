/**
 * Into which component of a suite a package goes. Source of truth: Policy 2.4, where a section
 * outside of main is written `contrib/net`. Floor 3.
 */
import { RefusalError } from '../errors.ts';
import type { Suite } from './suites.ts';

/** Packages of debugging symbols go here, where a suite has it. */
const DEBUG_COMPONENT = 'debug';

/** What a package says of itself. */
export interface Placed {
  section?: string | undefined;
  /** Whether it holds nothing but debugging symbols. */
  isDebug: boolean;
}

/**
 * The component that was asked for, or the suite's first.
 * @throws RefusalError COMPONENT_UNKNOWN
 */
export function chooseComponent(suite: Suite, component: string | undefined): string {
  const chosen = component ?? suite.components[0] ?? '';
  if (suite.components.includes(chosen)) return chosen;
  throw new RefusalError(
    'COMPONENT_UNKNOWN',
    `suite ${suite.name} has no component ${JSON.stringify(chosen.slice(0, 80))}; it has ${suite.components.join(', ')}`,
  );
}

/**
 * The component that was asked for; else `debug` for debugging symbols, else the one its section
 * begins with, where the suite has them; else the suite's first.
 * @throws RefusalError COMPONENT_UNKNOWN
 */
export function chooseComponentFor(suite: Suite, asked: string | undefined, what: Placed): string {
  const [own = '', inside] = (what.section ?? '').split('/', 2);
  const wanted = [what.isDebug ? DEBUG_COMPONENT : '', inside === undefined ? '' : own];
  return chooseComponent(suite, asked ?? wanted.find((one) => suite.components.includes(one)));
}
