/**
 * A disk that is full from a step on, for every step that an operation takes: a clear refusal,
 * nothing lost, hosts served, and what frees room or closes the door still works.
 */
import { mkdir } from 'node:fs/promises';
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
  removePrivately,
  updateFromNothing,
} from './killed-repository.ts';
import { revokePrivately } from './private-socket.ts';
import { issueClient } from './site.ts';
import { startOnSmallDisk } from './small-disk.ts';

const scratch = createScratch('full');
const mountPoint = join(scratch, 'disk');
let past: Past;

beforeAll(async () => {
  await mkdir(mountPoint);
  past = await makePast(scratch);
  await issueClient(past.data, 'stolen', 'host');
});

describe('a disk that is full from a step on', () => {
  it.each(Object.keys(DEEDS))(
    'of a %s',
    async (name) => {
      const { deed, after, spends } = DEEDS[name] ?? expect.fail(name);
      const steps = await countSteps(past, join(scratch, `count-${name}`), deed);
      const changed = after(past.listed).sort();
      const before = [...past.listed].sort();
      for (let step = 1; step <= steps.length; step += 1) {
        const what = `step ${step} of ${steps.length}: ${steps[step - 1]}`;
        const disk = await startOnSmallDisk(past, mountPoint, step);
        const end = await deed(past, disk.server, disk.data);
        expect(spends ? ['done'] : ['done', 'full'], what).toContain(end);
        const listed = await updateFromNothing(past);
        if (end === 'done') expect(listed, what).toEqual(changed);
        else expect([before, changed], what).toContainEqual(listed);
        await fetchAll(past, listed);
        // What was refused has left its room; the reserve is there once.
        if (!spends) await disk.fill();
        await removePrivately(disk.data, 'moodle', '1.1');
        await revokePrivately(disk.data, 'stolen');
        await disk.empty();
        if (end !== 'done') expect(await deed(past, disk.server, disk.data), what).toBe('done');
        await proveWhole(disk.data);
        expect(await disk.server.stop()).toBe(0);
      }
    },
    1_800_000,
  );
});
