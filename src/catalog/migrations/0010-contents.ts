/**
 * Migration 10: since when the lines of a listed package stand in Contents and in which place, and
 * how many bytes its paths have. Source of truth: the port's dialect (sql.ts). Never changed once
 * released. Floor 2.
 */

export const CONTENTS_STATEMENTS: readonly string[] = [
  // contents_in: the publication from which on they stand there, null while they do not;
  // contents_ordinal: their place among all that this publication added there.
  'alter table listing add column contents_in bigint',
  'alter table listing add column contents_ordinal bigint not null default 0',
  `create index listing_contents on listing (suite, component, contents_in, contents_ordinal)
   where removed_in is null`,
  `create index listing_without_contents on listing (suite, added_in, package_id)
   where contents_in is null and removed_in is null`,

  // size: of the paths, uncompressed; 0 where they are too many to be listed.
  'alter table package_contents add column size bigint not null default 0',
];
