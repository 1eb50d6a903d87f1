/**
 * Migrations: numbered, append-only steps from an empty catalog to the schema of this program.
 * One that was ever released is not changed again; the next step gets the next number.
 * Source of truth: migrations/, in the dialect of the port (sql.ts). Floor 2.
 */
import { FIRST_STATEMENTS } from './migrations/0001-first.ts';
import { AUDIT_HASH_STEPS } from './migrations/0002-audit-hash.ts';
import { GROUP_STATEMENTS } from './migrations/0003-groups.ts';
import { ENROLMENT_STATEMENTS } from './migrations/0004-enrolment.ts';
import { GENERATION_STATEMENTS } from './migrations/0005-generations.ts';
import { FORMAT_STATEMENTS } from './migrations/0006-formats.ts';
import { SEGMENT_STEPS } from './migrations/0007-segments.ts';
import { LIFE_STATEMENTS } from './migrations/0008-life.ts';
import { SIGNER_STATEMENTS } from './migrations/0009-signers.ts';
import { CONTENTS_STATEMENTS } from './migrations/0010-contents.ts';
import { KEEPING_STATEMENTS } from './migrations/0012-keeping.ts';
import { FLOOR_STATEMENTS } from './migrations/0013-floors.ts';
import type { Catalog, SqlExecutor } from './sql.ts';

/** A statement, or what one statement cannot say; run in the migration's own transaction. */
export type MigrationStep = string | ((sql: SqlExecutor) => Promise<void>);

/** The steps of migration 1, 2, ... in order. */
const MIGRATIONS: readonly (readonly MigrationStep[])[] = [
  FIRST_STATEMENTS,
  AUDIT_HASH_STEPS,
  GROUP_STATEMENTS,
  ENROLMENT_STATEMENTS,
  GENERATION_STATEMENTS,
  FORMAT_STATEMENTS,
  SEGMENT_STEPS,
  LIFE_STATEMENTS,
  SIGNER_STATEMENTS,
  CONTENTS_STATEMENTS,
  KEEPING_STATEMENTS,
  FLOOR_STATEMENTS,
];

const MIGRATION_TABLE = `create table if not exists migration (
  number bigint primary key not null,
  applied_at text not null
)`;

/**
 * Bring the catalog to the schema of this program, each migration in a transaction of its own.
 * @param now the time written down beside the migrations that were applied.
 * @throws Error where the catalog was migrated by a newer program.
 */
export async function migrate(catalog: Catalog, now: Date): Promise<void> {
  await applyMigrations(catalog, MIGRATIONS, now);
}

/** As `migrate`, with the migrations given. */
export async function applyMigrations(
  catalog: Catalog,
  migrations: readonly (readonly MigrationStep[])[],
  now: Date,
): Promise<void> {
  // Several nodes may start at once on one PostgreSQL.
  await catalog.lock('migrate', async () => {
    await catalog.run(MIGRATION_TABLE);
    const row = await catalog.get<{ number: number }>(
      'select coalesce(max(number), 0) as number from migration',
    );
    const current = row?.number ?? 0;
    if (current > migrations.length) {
      throw new Error(
        `the catalog was written by a newer aptkeep (its schema is ${current}, this program knows ${migrations.length}): run that version, or restore a backup`,
      );
    }
    for (const [index, steps] of migrations.entries()) {
      if (index < current) continue;
      await catalog.transaction(async (sql) => {
        for (const step of steps) await (typeof step === 'string' ? sql.run(step) : step(sql));
        const at = now.toISOString();
        await sql.run('insert into migration (number, applied_at) values ($1, $2)', index + 1, at);
      });
    }
  });
}
