/** Makes kits and uses them in a data directory until it is killed; prints what was acknowledged. */
import { enrolHost, issueEnrolment } from '../../src/authority/enrol.ts';
import { openParts } from '../../src/compose.ts';
import { loadConfig } from '../../src/config.ts';
import { createLogger } from '../../src/log.ts';
import { createKeyAndRequest } from '../http/start.ts';

const config = loadConfig({ data: process.argv[2] }, {});
const { authority } = await openParts(config, createLogger('silent'));
for (let count = 0; ; count += 1) {
  const name = `host-${process.pid}-${count}`;
  const wanted = { name, group: 'default', again: false, issuedBy: 'test' };
  const { certificate } = await issueEnrolment(authority, wanted);
  const row = await enrolHost(authority, certificate.serial, createKeyAndRequest().csr);
  process.stdout.write(`enrolled ${certificate.serial} ${row.serial}.\n`);
}
