/** Entries for tests of the audit log. */
import type { AuditEntry } from '../../src/catalog/audit-chain.ts';

export const createEntry = (changed: Partial<AuditEntry> = {}): AuditEntry => ({
  at: '2021-05-14T10:00:00.250Z',
  actor: 'root',
  role: 'admin',
  serial: 'abc123',
  address: '192.0.2.7',
  operation: 'suite.publish',
  subject: 'stable',
  outcome: 'done',
  detail: '',
  ...changed,
});
