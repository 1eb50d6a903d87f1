/**
 * Migration 8: a suite that was removed keeps its row, because a suite of the same name that is made
 * later has to go on with its numbers and its Date: hosts ignore an older one. The packages of a
 * source, which is what a changelog is asked by; what began and what ended between two publications.
 * Source of truth: the port's dialect (sql.ts). Never changed once released. Floor 2.
 */

export const LIFE_STATEMENTS: readonly string[] = [
  'alter table suite add column removed_at text',
  'create index package_source on package (source)',
  'create index listing_added on listing (suite, added_in)',
  'create index listing_removed on listing (suite, removed_in) where removed_in is not null',
];
