/**
 * The revocation lists of a site's own authorities: read from files and URLs on a schedule, each
 * matched with the authority that signed it. What is refused changes nothing: the list before it
 * stays until it runs out, and then the door closes. Source of truth: RFC 5280 section 6.3. Floor 3.
 */
import { createHash } from 'node:crypto';
import { RefusalError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { isNamesake } from '../pki/authorities.ts';
import type { CertificateFacts } from '../pki/certificate.ts';
import { isNewerCrl, type RevocationList, readCrl, splitCrls, writeCrlPem } from '../pki/crl.ts';
import type { CertsFolder } from './files.ts';
import { nameSource, readSource, type SourceOptions } from './list-source.ts';
import type { Trust } from './trust.ts';

/** After a failure, and near the end of a list, sources are read this often. */
const SOON_MS = 30_000;
const KEPT = 'foreign-crl.pem';

export interface ForeignListsParts {
  /** Paths and URLs, as configured. */
  sources: readonly string[];
  options: SourceOptions;
  /** Milliseconds between two readings. */
  refresh: number;
  trust: Trust;
  certs: CertsFolder;
  now: () => number;
  log: Logger;
}

/** How a source stands; times in milliseconds since the epoch. */
export interface ListSource {
  name: string;
  /** When it last gave what could be used. */
  readAt: number | undefined;
  /** What was wrong at the last reading. */
  fault: string | undefined;
  /** Names of the authorities whose lists it gave. */
  authorities: string[];
}

interface Watched extends ListSource {
  source: string;
  digest: string | undefined;
}

export class ForeignLists {
  readonly #parts: ForeignListsParts;
  readonly #watched: Watched[];
  #triedAt = 0;
  #running: Promise<void> = Promise.resolve();

  constructor(parts: ForeignListsParts) {
    this.#parts = parts;
    this.#watched = parts.sources.map((source) => ({
      ...{ source, name: nameSource(source), authorities: [] },
      ...{ readAt: undefined, fault: undefined, digest: undefined },
    }));
  }

  get sources(): readonly ListSource[] {
    return this.#watched;
  }

  /** What was wrong at the last reading, a sentence a source; '' where nothing was. */
  get faults(): string {
    return this.#watched
      .filter((one) => one.fault !== undefined)
      .map((one) => `${one.name}: ${one.fault}`)
      .join('; ');
  }

  /** When the sources are to be read next, in milliseconds since the epoch. */
  get due(): number {
    const { refresh, trust } = this.#parts;
    const isPressing = this.faults !== '' || trust.nextUpdate - this.#triedAt < refresh;
    return this.#triedAt + (isPressing ? Math.min(refresh, SOON_MS) : refresh);
  }

  /** Takes the lists that the last run kept, so that it goes on while a source is away. */
  async restore(): Promise<void> {
    const { certs, log } = this.#parts;
    if (!(await certs.exists(KEPT))) return;
    const { faults } = this.#take(Buffer.from(await certs.readText(KEPT)), true);
    for (const why of faults) log.warn({ event: 'crl.kept refused', why });
  }

  /** Reads every source now, after whatever reading is under way; faults are told by `faults`. */
  refresh(): Promise<void> {
    this.#running = this.#running.then(() => this.#refresh());
    return this.#running;
  }

  /** @throws RefusalError CONFIG_INVALID naming an authority without any list. */
  checkComplete(): void {
    const { trust } = this.#parts;
    const lacking = trust.authorities.find((one) => !trust.listOf(one.fingerprint));
    if (!lacking) return;
    const why = this.faults === '' ? 'no source has one' : this.faults;
    throw new RefusalError(
      'CONFIG_INVALID',
      `clientCa.crl: there is no revocation list of ${nameAuthority(lacking)}: ${why}`,
    );
  }

  async #refresh(): Promise<void> {
    const { trust, now, options } = this.#parts;
    this.#triedAt = now();
    const before = trust.crls;
    const read = this.#watched.map((one) =>
      readSource(one.source, options).then(
        (bytes) => this.#judge(one, bytes),
        (error: unknown) => this.#report(one, explain(error)),
      ),
    );
    await Promise.all(read);
    if (trust.crls.every((list) => before.includes(list))) return;
    await this.#keep();
    await trust.settled();
  }

  /** A source that has not changed since all of it was taken needs no second look. */
  #judge(one: Watched, bytes: Uint8Array): void {
    const digest = createHash('sha256').update(bytes).digest('hex');
    if (one.digest !== digest) {
      const { faults, authorities } = this.#take(bytes, false);
      one.authorities = authorities;
      if (faults.length > 0) {
        this.#report(one, faults.join('; '));
        return;
      }
    }
    if (one.fault !== undefined)
      this.#parts.log.info({ event: 'crl.source good', source: one.name });
    one.digest = digest;
    one.fault = undefined;
    one.readAt = this.#triedAt;
  }

  #report(one: Watched, fault: string): void {
    if (one.fault !== fault) {
      this.#parts.log.error({ event: 'crl.source refused', source: one.name, why: fault });
    }
    one.digest = undefined;
    one.fault = fault;
  }

  /** Takes every list of a file that may be taken; the others do not stand in its way. */
  #take(bytes: Uint8Array, isKept: boolean): { faults: string[]; authorities: string[] } {
    const faults: string[] = [];
    const authorities: string[] = [];
    const attempt = (run: () => void): void => {
      try {
        run();
      } catch (error) {
        faults.push(explain(error));
      }
    };
    attempt(() => {
      for (const der of splitCrls(bytes)) {
        attempt(() => authorities.push(this.#takeOne(der, isKept)));
      }
    });
    return { faults, authorities };
  }

  /** @throws RefusalError CRL_UNACCEPTABLE */
  #takeOne(der: Uint8Array, isKept: boolean): string {
    const { trust, now, log } = this.#parts;
    const { list, authority } = readForeignCrl(der, trust.authorities);
    const name = nameAuthority(authority);
    if (!list.namesKey && trust.authorities.some((one) => isNamesake(one, authority))) {
      throw refuse(
        `the list of ${name} has no authorityKeyIdentifier, and another authority has that name: OpenSSL could not tell which of them it is of`,
      );
    }
    const current = trust.listOf(authority.fingerprint);
    const pem = writeCrlPem(der);
    if (current?.pem === pem) return name;
    if (!isKept && list.thisUpdate.getTime() > now()) {
      throw refuse(`the list of ${name} begins at ${list.thisUpdate.toISOString()}, in the future`);
    }
    if (current && !isNewerCrl(list, current)) {
      throw refuse(
        `the list of ${name}, ${describe(list)}, is no newer than ${describe(current)}, which is in force`,
      );
    }
    trust.load({ ...list, pem }, authority.fingerprint);
    const { number, nextUpdate } = list;
    log.info({
      event: 'crl.loaded',
      authority: name,
      number,
      nextUpdate: nextUpdate.toISOString(),
    });
    return name;
  }

  async #keep(): Promise<void> {
    const { certs, trust, log } = this.#parts;
    try {
      await certs.write(KEPT, trust.crls.map((list) => list.pem).join(''));
    } catch (error) {
      log.error({ event: 'crl.kept not written', error: String(error) });
    }
  }
}

const refuse = (why: string): RefusalError => new RefusalError('CRL_UNACCEPTABLE', why);

const explain = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

const describe = (list: RevocationList): string =>
  `${list.number > 0 ? `number ${list.number}` : 'without a number'} of ${list.thisUpdate.toISOString()}`;

/** An authority as people call it. */
export function nameAuthority({ subject, fingerprint }: CertificateFacts): string {
  return subject.commonName || subject.organization || fingerprint.slice(0, 16);
}

/**
 * A list with the authority that signed it.
 * @throws RefusalError CRL_UNACCEPTABLE
 */
function readForeignCrl(
  der: Uint8Array,
  authorities: readonly CertificateFacts[],
): { list: RevocationList; authority: CertificateFacts } {
  const faults: string[] = [];
  for (const authority of authorities) {
    try {
      return { list: readCrl(der, authority, false), authority };
    } catch (error) {
      faults.push(explain(error));
    }
  }
  // Of all but the one it names this is said; what that one has against it tells more.
  const telling = faults.find((fault) => !fault.includes('issued by another authority'));
  throw refuse(telling ?? 'it is of none of the authorities in clientCa.certificates');
}
