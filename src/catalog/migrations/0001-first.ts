/**
 * Migration 1: the schema of the first release. Times are ISO-8601 UTC text, lists are JSON text,
 * ids are made by the program. `bytea` is PostgreSQL's name for bytes; SQLite takes any name for a
 * type, and its affinity for this one (NUMERIC) leaves blobs as they are. `not null` stands beside
 * `primary key` because SQLite, unlike PostgreSQL, does not imply it.
 * Source of truth: the port's dialect (sql.ts). Never changed once released. Floor 2.
 */

export const FIRST_STATEMENTS: readonly string[] = [
  `create table setting (
    name text primary key not null,
    value text not null
  )`,

  `create table counter (
    name text primary key not null,
    value bigint not null
  )`,

  // suites: JSON, or null for all. A certificate is revoked when revoked_at is not null.
  `create table certificate (
    serial text primary key not null,
    name text not null,
    role text not null,
    suites text,
    not_before text not null,
    not_after text not null,
    fingerprint text not null unique,
    pem text not null,
    issued_at text not null,
    issued_by text not null,
    revoked_at text,
    revocation_reason text
  )`,
  'create index certificate_name on certificate (name)',

  `create table crl (
    number bigint primary key not null,
    this_update text not null,
    next_update text not null,
    pem text not null,
    issued_at text not null
  )`,

  // publication: the number of the current one, 0 before the first.
  `create table suite (
    name text primary key not null,
    codename text not null,
    origin text not null,
    label text not null,
    description text not null,
    components text not null,
    architectures text not null,
    valid_for_ms bigint not null,
    publication bigint not null,
    created_at text not null
  )`,

  // kind: deb or udeb. stanza: as it stands in Packages, rendered once.
  `create table package (
    id text primary key not null,
    name text not null,
    version text not null,
    architecture text not null,
    kind text not null,
    source text not null,
    component text not null,
    stanza bytea not null,
    filename text not null unique,
    size bigint not null,
    sha256 text not null,
    uploaded_at text not null,
    uploaded_by text not null,
    unique (name, version, architecture, kind)
  )`,
  'create index package_sha256 on package (sha256)',

  // In a publication n when added_in <= n and (removed_in is null or n < removed_in).
  `create table listing (
    suite text not null references suite (name),
    component text not null,
    package_id text not null references package (id),
    added_in bigint not null,
    removed_in bigint,
    primary key (suite, component, package_id, added_in)
  )`,
  'create index listing_current on listing (suite, component) where removed_in is null',
  'create index listing_package on listing (package_id)',

  // in_release, release, release_gpg: the signed texts. files: JSON [{path, size, sha256, key}].
  `create table publication (
    suite text not null references suite (name),
    number bigint not null,
    date text not null,
    valid_until text not null,
    reason text not null,
    actor text not null,
    in_release text not null,
    release text not null,
    release_gpg text not null,
    files text not null,
    created_at text not null,
    primary key (suite, number)
  )`,

  `create table host (
    name text primary key not null,
    group_name text not null,
    added_at text not null
  )`,

  `create table audit (
    number bigint primary key not null,
    at text not null,
    actor text not null,
    role text not null,
    serial text,
    address text,
    operation text not null,
    subject text not null,
    outcome text not null,
    detail text not null
  )`,
  'create index audit_at on audit (at)',
];
