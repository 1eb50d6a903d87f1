/**
 * THE TABLE: every operation once. The command line and the HTTP API are its two faces. Floor 5.
 */
import type { z } from 'zod';
import { listAudit, verifyAudit } from './audit.ts';
import { finishAuthority, listAuthorities, rotateAuthority } from './authorities.ts';
import { takeSnapshot } from './backups.ts';
import {
  issueCertificate,
  listCertificates,
  revokeCertificate,
  showCertificate,
  testCertificate,
} from './certificates.ts';
import { repairCheck, showCheck, startCheck } from './check.ts';
import { exportCrl, refreshCrl, showCrl } from './crl.ts';
import { enrolHost, renewCertificate, renewServer, reportHost, showSelf } from './enrolment.ts';
import { exportSuites } from './exports.ts';
import { createGroup, listGroups, removeGroup, setGroup, showGroup } from './groups.ts';
import { addHost, showHostApt } from './host-access.ts';
import { listHosts, removeHost, setHost, showHost } from './hosts.ts';
import { importSuite, showImports } from './imports.ts';
import { exportKey, finishKey, packageKey, rotateKey, showKey } from './keys.ts';
import { copyPackages, phasePackages, removePackages } from './package-moves.ts';
import { addPackages, listPackages, showPackage } from './packages.ts';
import {
  diffPublications,
  listPublications,
  rollBackSuite,
  showPublication,
} from './publications.ts';
import { addSigners, listSigners, removeSigner } from './signers.ts';
import { showStatus } from './status.ts';
import { removeSuite, setSuite } from './suite-life.ts';
import { createSuite, listSuites, publishSuite, showSuite } from './suites.ts';
import { runSweep, showSweep } from './sweep.ts';

export const OPERATIONS = {
  'status.show': showStatus,
  'certificate.issue': issueCertificate,
  'certificate.self': showSelf,
  'certificate.renew': renewCertificate,
  'certificate.list': listCertificates,
  'certificate.show': showCertificate,
  'certificate.revoke': revokeCertificate,
  'certificate.test': testCertificate,
  'authority.list': listAuthorities,
  'authority.rotate': rotateAuthority,
  'authority.finish': finishAuthority,
  'crl.show': showCrl,
  'crl.refresh': refreshCrl,
  'crl.export': exportCrl,
  'suite.create': createSuite,
  'suite.list': listSuites,
  'suite.show': showSuite,
  'suite.publish': publishSuite,
  'suite.set': setSuite,
  'suite.remove': removeSuite,
  'suite.import': importSuite,
  'import.list': showImports,
  'suite.export': exportSuites,
  'package.add': addPackages,
  'package.list': listPackages,
  'package.show': showPackage,
  'package.copy': copyPackages,
  'package.phase': phasePackages,
  'package.remove': removePackages,
  'publication.list': listPublications,
  'publication.show': showPublication,
  'publication.diff': diffPublications,
  'publication.rollback': rollBackSuite,
  'signer.add': addSigners,
  'signer.list': listSigners,
  'signer.remove': removeSigner,
  'key.show': showKey,
  'key.export': exportKey,
  'key.rotate': rotateKey,
  'key.finish': finishKey,
  'key.package': packageKey,
  'host.add': addHost,
  'host.list': listHosts,
  'host.show': showHost,
  'host.apt': showHostApt,
  'host.set': setHost,
  'host.remove': removeHost,
  'group.create': createGroup,
  'group.list': listGroups,
  'group.show': showGroup,
  'group.set': setGroup,
  'group.remove': removeGroup,
  'host.enrol': enrolHost,
  'host.report': reportHost,
  'server.renew': renewServer,
  'check.start': startCheck,
  'check.repair': repairCheck,
  'check.show': showCheck,
  'sweep.show': showSweep,
  'sweep.run': runSweep,
  'backup.snapshot': takeSnapshot,
  'audit.list': listAudit,
  'audit.verify': verifyAudit,
} as const;

export type OperationName = keyof typeof OPERATIONS;
export type InputOf<Name extends OperationName> = z.input<(typeof OPERATIONS)[Name]['input']>;
export type OutputOf<Name extends OperationName> = z.output<(typeof OPERATIONS)[Name]['output']>;
