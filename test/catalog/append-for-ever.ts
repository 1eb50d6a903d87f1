/** A child of audit.test.ts: appends to the audit log, many at once, until it is killed. */
import { writeSync } from 'node:fs';
import { appendAudit } from '../../src/catalog/audit.ts';
import { openSqlite } from '../../src/catalog/sqlite.ts';
import { createEntry } from './audit-entry.ts';

const catalog = await openSqlite(process.argv[2] ?? '');

async function work(lane: number): Promise<void> {
  for (;;) {
    const entries = Array.from({ length: lane }, () => createEntry({ actor: `lane-${lane}` }));
    const { number, hash } = await appendAudit(catalog, entries);
    writeSync(1, `${number}:${hash}\n`);
  }
}

await Promise.all([1, 1, 2, 7].map(work));
