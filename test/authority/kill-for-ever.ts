/** Issues and revokes in a data directory until it is killed; prints what was acknowledged. */
import { issueClientCertificate } from '../../src/authority/issue.ts';
import { revokeCertificates } from '../../src/authority/revoke.ts';
import { openParts } from '../../src/compose.ts';
import { loadConfig } from '../../src/config.ts';
import { createLogger } from '../../src/log.ts';
import { createKeyAndRequest } from '../http/start.ts';

const config = loadConfig({ data: process.argv[2] }, {});
const { authority } = await openParts(config, createLogger('silent'));
const { csr } = createKeyAndRequest();
for (let count = 0; ; count += 1) {
  const name = `host-${process.pid}-${count}`;
  const row = await issueClientCertificate(authority, {
    name,
    role: 'host',
    csr,
    issuedBy: 'test',
  });
  process.stdout.write(`issued ${row.serial}\n`);
  await revokeCertificates(authority, row.serial, 'superseded');
  process.stdout.write(`revoked ${row.serial} ${authority.trust.crl?.number}\n`);
}
