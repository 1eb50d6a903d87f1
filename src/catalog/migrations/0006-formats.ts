/**
 * Migration 6: what a suite asks for beyond Packages; the files of a source package beside its
 * .dsc; what a package contains; the share of hosts that take a version in a suite.
 * Source of truth: the port's dialect (sql.ts). Never changed once released. Floor 2.
 */

export const FORMAT_STATEMENTS: readonly string[] = [
  // options: JSON, what differs from the defaults (repository/suite-options.ts).
  "alter table suite add column options text not null default '{}'",

  // phased: Phased-Update-Percentage in this suite, null for everybody at once.
  'alter table listing add column phased bigint',

  // hashes: JSON {"SHA512": hex, "MD5sum": hex}, those that were computed.
  "alter table package add column hashes text not null default '{}'",

  // The files that a source package names, without its .dsc; two versions may share one.
  `create table package_file (
    package_id text not null references package (id),
    filename text not null,
    size bigint not null,
    sha256 text not null,
    primary key (package_id, filename)
  )`,
  'create index package_file_name on package_file (filename)',

  // paths: the files of data.tar, one a line without the leading ./, gzip.
  `create table package_contents (
    package_id text primary key not null references package (id),
    paths bytea not null
  )`,
];
