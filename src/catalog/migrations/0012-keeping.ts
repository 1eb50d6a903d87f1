/**
 * Migration 12: publications whose texts and indexes were swept.
 * Source of truth: the port's dialect (sql.ts). Never changed once released. Floor 2.
 */

export const KEEPING_STATEMENTS: readonly string[] = [
  // swept_at: since when number, dates and reason are all that is left of it; null while it is kept.
  'alter table publication add column swept_at text',
];
