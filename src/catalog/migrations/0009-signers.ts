/**
 * Migration 9: the public keys of those who may sign for a suite; which suite asks for whom stands
 * among its options. Source of truth: the port's dialect (sql.ts). Never changed once released.
 * Floor 2.
 */

export const SIGNER_STATEMENTS: readonly string[] = [
  // fingerprint: of the primary key, upper-case hex. armored: the public key.
  `create table signer_key (
    fingerprint text primary key not null,
    user_id text not null,
    armored text not null,
    recorded_at text not null,
    recorded_by text not null
  )`,
];
