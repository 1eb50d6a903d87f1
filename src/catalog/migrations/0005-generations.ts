/**
 * Migration 5: certificates and revocation lists know which authority they are of, because there
 * are two while one is rotated. '' is the one there was before. Floor 2.
 */

export const GENERATION_STATEMENTS: readonly string[] = [
  "alter table certificate add column authority text not null default ''",
  "alter table crl add column authority text not null default ''",
];
