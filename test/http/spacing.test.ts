/** Work that is given room: at once where there is some, once for all that asked meanwhile. */
import { describe, expect, it } from 'vitest';
import { spaceOut } from '../../src/http/spacing.ts';
import { waitFor } from '../e2e/command.ts';

describe('spaced work', () => {
  it('begins at once, and again once for all that asked while it ran', async () => {
    const gates: (() => void)[] = [];
    const work = spaceOut(
      () => new Promise<void>((resolve) => gates.push(resolve)),
      () => {},
    );
    work.start();
    expect(gates).toHaveLength(1);
    for (let count = 0; count < 5; count += 1) work.start();
    expect(gates).toHaveLength(1);
    gates[0]?.();
    await waitFor('the second run', () => (gates.length === 2 ? true : undefined));
    gates[1]?.();
    work.start();
    await waitFor('the third run', () => (gates.length === 3 ? true : undefined));
    work.stop();
  });

  it('goes on after a failure, which is explained', async () => {
    const failures: unknown[] = [];
    const work = spaceOut(
      () => Promise.reject(new Error('no list')),
      (error) => failures.push(error),
    );
    work.start();
    await waitFor('a failure', () => (failures.length === 1 ? true : undefined));
    work.start();
    await waitFor('another one', () => (failures.length === 2 ? true : undefined));
    work.stop();
  });
});
