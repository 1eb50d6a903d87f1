/**
 * Migration 12: publications whose texts and indexes were swept; what hosts have installed.
 * Source of truth: the port's dialect (sql.ts). Never changed once released. Floor 2.
 */

export const KEEPING_STATEMENTS: readonly string[] = [
  // swept_at: since when number, dates and reason are all that is left of it; null while it is kept.
  'alter table publication add column swept_at text',

  // What a host said last that it has installed, of what the catalog knows.
  `create table host_package (
    host text not null references host (name),
    package_id text not null references package (id),
    primary key (host, package_id)
  )`,
  'create index host_package_package on host_package (package_id)',
];
