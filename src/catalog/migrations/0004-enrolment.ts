/**
 * Migration 4: enrolment and renewal. `replaces` is the serial of the certificate with which this
 * one was asked for; from `superseded_at` on the next revocation list names the certificate. What a
 * host reported of itself stands beside it, so that a rotation can count who has the old files.
 * Source of truth: the port's dialect (sql.ts). Never changed once released. Floor 2.
 */

export const ENROLMENT_STATEMENTS: readonly string[] = [
  'alter table certificate add column replaces text',
  'alter table certificate add column superseded_at text',
  'create index certificate_replaces on certificate (replaces)',
  'alter table host add column reported_at text',
  'alter table host add column reported_ca text',
  'alter table host add column reported_keyring text',
  'alter table host add column reported_client text',
];
