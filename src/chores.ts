/**
 * What has to be done at its time: the next revocation lists, signatures before Valid-Until, the
 * server's certificate before its end; and what is made right before serving begins. Floor 7.
 */
import { issueFirstCrl, renewCrls } from './authority/crl.ts';
import {
  findServerCertificateFault,
  issueServerCertificate,
} from './authority/server-certificate.ts';
import { findAuditHead } from './catalog/audit.ts';
import { writeSetting } from './catalog/settings.ts';
import { findFloors, listSuites } from './catalog/suites.ts';
import { type OpenedParts, readRecordedNames } from './compose.ts';
import { spendReserve } from './operations/operation.ts';
import { upgradeHostPackages } from './operations/own-packages.ts';
import { sweepAsConfigured } from './operations/sweep.ts';
import { ContentsBacklog } from './repository/contents-backlog.ts';
import { isDueForSigning, signSuiteAgain } from './repository/publications.ts';
import { checkPrograms, getSuite, readSuiteRow } from './repository/suites.ts';

const TICK_MS = 1000;
/** After a failure a timer waits this long before it tries again. */
const RETRY_MS = 10_000;
const FIRST_SWEEP_MS = 3_600_000;
const BACKUP_WAIT_MS = 600_000;
const CERTIFICATE_CHECK_MS = 3_600_000;
const RESERVE_CHECK_MS = 60_000;
/** Files that did not fit together may have been met while they were replaced. */
const RECHECK_MS = 60_000;
/** Lines that no publication takes along are in Contents after this. */
const CONTENTS_MS = 60_000;

/**
 * A server certificate that is missing, lacks a name or nears its end is made anew; one that the
 * site brings is read again. Resolves with whether another one is to be shown. The key of the
 * server CA may be kept elsewhere: what serves still goes on serving without it.
 */
export async function renewServerCertificate(parts: OpenedParts): Promise<boolean> {
  const { certs, server } = parts.authority;
  if (server) return server.reread();
  const names = await parts.serverNames();
  const fault = await findServerCertificateFault(certs, names, parts.now());
  if (fault === undefined) return false;
  try {
    await issueServerCertificate(certs, names, parts.now());
  } catch (error) {
    if (!fault.serves) throw error;
    const because = fault.why;
    parts.log.error({ event: 'server certificate not renewed', because, error: String(error) });
    return false;
  }
  parts.log.info({ event: 'server certificate issued', because: fault.why });
  return true;
}

/** A site may well have another name for it in mind, of a proxy say; so it is said, not refused. */
function warnOfName(parts: OpenedParts): void {
  const name = new URL(parts.url).hostname.replace(/^\[|\]$/g, '');
  if (parts.authority.server?.coversName(name) !== false) return;
  const why = `hosts are given the name ${name}, which server.certificate does not have`;
  parts.log.warn({ event: 'server certificate without a name', why });
}

async function recordHostNames(parts: OpenedParts): Promise<void> {
  const recorded = await readRecordedNames(parts.authority.catalog);
  const names = [...new Set([...recorded, ...parts.config.values.hostname])];
  if (names.length > recorded.length) {
    await writeSetting(parts.authority.catalog, 'host_names', JSON.stringify(names));
  }
}

/** A witness outside the catalog: who owns that could cut off its end and chain it anew. */
export async function logAuditHead({ authority, log }: OpenedParts): Promise<void> {
  const { number, hash } = await findAuditHead(authority.catalog);
  log.info({ event: 'audit.head', number, hash });
}

/** A server that could not publish a suite says so at once. @throws RefusalError PROGRAM_MISSING */
async function checkSuitePrograms({ repository }: OpenedParts): Promise<void> {
  for (const row of await listSuites(repository.catalog)) {
    await checkPrograms(readSuiteRow(row).options);
  }
}

/** In the background: a publication that comes earlier reads what it needs by itself. */
function warmIndexes({ repository, log }: OpenedParts): void {
  const warm = async (): Promise<void> => {
    for (const live of [...repository.live.values()]) {
      await repository.indexes.warm(await getSuite(repository, live.suite), live);
    }
  };
  warm().catch((error: unknown) => log.warn({ event: 'indexes not read', error: String(error) }));
}

/** After a restore hosts have later Dates than its publications, and would ignore them. */
async function signRestored({ repository, log }: OpenedParts): Promise<void> {
  for (const { suite, date } of [...repository.live.values()]) {
    const floors = await findFloors(repository.catalog, suite);
    if (date > (Date.parse(floors.date) || 0)) continue;
    const reason = 'go on beyond what hosts have seen';
    await signSuiteAgain(repository, suite, 'start', reason).catch((error: unknown) =>
      log.error({ event: 'suite not signed', suite, error: String(error) }),
    );
  }
}

/** Before anybody is let in: names, certificate, lists and mirror as they should be. */
export async function prepareServing(parts: OpenedParts): Promise<void> {
  await checkSuitePrograms(parts);
  await recordHostNames(parts);
  warnOfName(parts);
  await renewServerCertificate(parts);
  await issueFirstCrl(parts.authority);
  await signRestored(parts);
  for (const live of parts.repository.live.values()) parts.repository.mirror.follow(live);
  warmIndexes(parts);
  await logAuditHead(parts);
  await upgradeHostPackages(parts);
}

export interface Chore {
  name: string;
  /** When it is due next, in milliseconds since the epoch. */
  due: () => number;
  run: () => Promise<unknown>;
  /** Ends what `run` left at work in the background. */
  end?: () => Promise<void>;
  retryAt?: number;
}

/** @param reload takes a new server certificate into the TLS context of every process. */
export function listChores(parts: OpenedParts, reload: () => Promise<void>): Chore[] {
  const { authority, repository, now } = parts;
  let checkedAt = now();
  let contentsAt = now();
  const backlog = new ContentsBacklog(repository);
  let reservedAt = -Infinity;
  const sweepEvery = parts.config.values['sweep.every'];
  // A server that is started every day sweeps too.
  let sweepDue = now() + Math.min(sweepEvery ?? 0, FIRST_SWEEP_MS);
  const issuedAt = (): number => authority.trust.nextUpdate - authority.crlLifetime;
  const checkEvery = (): number => (authority.server?.fault ? RECHECK_MS : CERTIFICATE_CHECK_MS);
  return [
    {
      name: 'crl.refresh',
      due: () => {
        if (authority.trust.listOwed) return 0;
        return authority.foreign?.due ?? issuedAt() + parts.config.values['crl.refresh'];
      },
      run: async () => {
        await renewCrls(authority);
        await logAuditHead(parts);
      },
    },
    {
      name: 'suite.sign',
      due: () =>
        [...repository.live.values()].some((one) => isDueForSigning(one, now())) ? 0 : Infinity,
      run: async () => {
        for (const live of repository.live.values()) {
          if (!isDueForSigning(live, now())) continue;
          await signSuiteAgain(repository, live.suite, 'timer', 'sign again before Valid-Until');
        }
      },
    },
    {
      name: 'sweep',
      due: () => (sweepEvery === null ? Infinity : sweepDue),
      run: async () => {
        // While a backup is made, nothing is: some minutes later, then.
        sweepDue = now() + BACKUP_WAIT_MS;
        await sweepAsConfigured(parts, { actor: 'timer', dryRun: false, foreign: false });
        sweepDue = now() + (sweepEvery ?? 0);
      },
    },
    {
      name: 'reserve',
      due: () => reservedAt + RESERVE_CHECK_MS,
      run: async () => {
        reservedAt = now();
        await parts.reserve.fill();
      },
    },
    {
      name: 'incoming',
      due: () => parts.incoming.due,
      run: () => parts.incoming.expire(),
    },
    {
      name: 'server certificate',
      due: () => checkedAt + checkEvery(),
      run: async () => {
        const at = now();
        if (await renewServerCertificate(parts)) await reload();
        checkedAt = at;
      },
    },
    {
      name: 'contents',
      due: () => contentsAt + CONTENTS_MS,
      run: async () => {
        contentsAt = now();
        backlog.start();
      },
      end: () => backlog.end(),
    },
  ];
}

/** A list that lapses closes the door, and a suite that lapses stops hosts: both may spend it. */
async function runChore(parts: OpenedParts, chore: Chore): Promise<void> {
  try {
    await chore.run();
  } catch (error) {
    if (!(await spendReserve(parts, error))) throw error;
    await chore.run();
  }
}

/** Runs what is due, one after another; the answer ends it and waits for what is running. */
export function startChores(parts: OpenedParts, chores: readonly Chore[]): () => Promise<void> {
  let running: Promise<void> | undefined;
  const runDue = async (): Promise<void> => {
    for (const chore of chores) {
      const now = parts.now();
      if (now < chore.due() || now < (chore.retryAt ?? 0)) continue;
      try {
        await runChore(parts, chore);
      } catch (error) {
        chore.retryAt = now + RETRY_MS;
        parts.log.error({ event: 'timer failed', timer: chore.name, error: String(error) });
      }
    }
  };
  const timer = setInterval(() => {
    running ??= runDue().finally(() => {
      running = undefined;
    });
  }, TICK_MS);
  return async () => {
    clearInterval(timer);
    await running;
    for (const chore of chores) await chore.end?.();
  };
}
