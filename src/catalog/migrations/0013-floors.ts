/**
 * Migration 13: what the next publication of a suite has to lie beyond, besides the one before it:
 * numbers and Dates that hosts have seen of a server that was lost, or of the repository that was
 * imported. Source of truth: the port's dialect (sql.ts). Never changed once released. Floor 2.
 */

export const FLOOR_STATEMENTS: readonly string[] = [
  'alter table suite add column number_floor bigint not null default 0',

  // ISO 8601, '' for none.
  "alter table suite add column date_floor text not null default ''",
];
