/**
 * Migration 3: groups of hosts and what each may read; package names an uploader is limited to.
 * The group of a host (host.group_name) is one of them; `default` is as old as the catalog.
 * Source of truth: the port's dialect (sql.ts). Never changed once released. Floor 2.
 */

export const GROUP_STATEMENTS: readonly string[] = [
  // suites: JSON, or null for all.
  `create table host_group (
    name text primary key not null,
    suites text,
    description text not null,
    created_at text not null
  )`,
  `insert into host_group (name, suites, description, created_at)
    select 'default', null, 'hosts of no other group', coalesce(min(applied_at), '')
    from migration`,
  'create index host_group_name on host (group_name)',

  // packages: JSON, patterns of package names, or null for all.
  'alter table certificate add column packages text',
];
