/**
 * kill -9 before every step that an operation takes on the disk or in the catalog, and in the
 * middle of every write: what was acknowledged is there, apt works before anything is repaired,
 * and nothing is wrong or left over after a sweep.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createScratch } from './command.ts';
import {
  countSteps,
  DEEDS,
  fetchAll,
  makePast,
  type Past,
  proveWhole,
  startArmed,
  updateFromNothing,
} from './killed-repository.ts';
import { startServer } from './program.ts';

const scratch = createScratch('killed');
let past: Past;

beforeAll(async () => {
  past = await makePast(scratch);
});

describe('kill -9 at every step', () => {
  it.each(Object.keys(DEEDS))(
    'of a %s',
    async (name) => {
      const { deed, after } = DEEDS[name] ?? expect.fail(name);
      const steps = await countSteps(past, join(scratch, `count-${name}`), deed);
      expect(steps.length).toBeGreaterThan(4);
      const changed = after(past.listed).sort();
      const before = [...past.listed].sort();
      for (let step = 1; step <= steps.length + 1; step += 1) {
        const data = join(scratch, `${name}-${step}`);
        const server = await startArmed(past, data, `kill:${step}`);
        const end = await deed(past, server, data);
        await server.kill();
        const again = await startServer({ data, port: past.port });
        const listed = await updateFromNothing(past);
        const what = `step ${step} of ${steps.length}: ${steps[step - 1] ?? 'after the last'}`;
        if (end === 'done') expect(listed, what).toEqual(changed);
        else expect([before, changed], what).toContainEqual(listed);
        await fetchAll(past, listed);
        await proveWhole(data);
        expect(await updateFromNothing(past), what).toEqual(listed);
        expect(await again.stop()).toBe(0);
        await rm(data, { recursive: true });
      }
    },
    1_800_000,
  );
});
