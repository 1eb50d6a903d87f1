/**
 * The files with which a host reaches this repository: its apt's, and its client's configuration.
 * The one list of them, for the script of `host show --apt` and for kits. Source: sources.list(5),
 * apt_preferences(5), apt-transport-https(1): the certificate is configured for the host name
 * alone, without a port. Floor 4.
 */

/** One file; `owner` is null for root, `content` is null for what is made on the host. */
export interface AptFile {
  path: string;
  mode: string;
  owner: '_apt' | null;
  content: string | null;
}

export interface AptSource {
  host: string;
  url: string;
  suites: readonly {
    name: string;
    origin: string;
    components: readonly string[];
    options?: { notAutomatic: boolean };
    /** Whether it has an index of sources: apt complains of one that is not there. */
    hasSources?: boolean;
  }[];
  /** The certificate of this host, PEM; null where it has yet to be asked for. */
  certificate: string | null;
  /** The CA of the server's certificate, PEM. */
  ca: string;
  /** The public OpenPGP key, armoured. */
  keyring: string;
}

/** Where the files stand below a host's root directory. */
const FOLDER = '/etc/apt/aptkeep';
const KEYRING = '/etc/apt/keyrings/aptkeep.asc';

/** A comma ends the pattern for apt, and these mean something in it: any one character, then. */
const escapePattern = (origin: string): string => origin.replace(/[,*?[\]\\/"]/g, '?');

/**
 * What going back to an older version needs on the host: apt prefers what this repository lists,
 * whatever is installed. Not what a suite lists that is NotAutomatic: where an origin has one, the
 * others are named.
 */
function renderPins(source: AptSource): string {
  const byOrigin = Map.groupBy(source.suites, (suite) => escapePattern(suite.origin));
  return [...byOrigin]
    .flatMap(([origin, suites]) => {
      const automatic = suites.filter(({ options }) => !options?.notAutomatic);
      if (automatic.length === suites.length) return [`o=${origin}`];
      return automatic.map(({ name }) => `o=${origin},a=${name}`);
    })
    .map((pin) => `Package: *\nPin: release ${pin}\nPin-Priority: 1001\n`)
    .join('\n');
}

function renderSources(source: AptSource, root: string): string {
  const stanzas = source.suites.map((suite) =>
    [
      `Types: deb${suite.hasSources ? ' deb-src' : ''}`,
      `URIs: ${source.url}/`,
      `Suites: ${suite.name}`,
      `Components: ${suite.components.join(' ')}`,
      `Signed-By: ${root}${KEYRING}`,
      '',
    ].join('\n'),
  );
  return stanzas.join('\n');
}

/**
 * @param root '' for the host itself, or a directory that stands in for its root.
 */
export function listAptFiles(source: AptSource, root: string): AptFile[] {
  const { hostname } = new URL(source.url);
  const option = (name: string, path: string): string =>
    `Acquire::https::${hostname}::${name} "${root}${FOLDER}/${path}";\n`;
  const file = (path: string, content: string | null): AptFile => ({
    path: root + path,
    mode: '0644',
    owner: null,
    content,
  });
  return [
    file(`${FOLDER}/ca.crt`, source.ca),
    file(`${FOLDER}/host.crt`, source.certificate),
    { path: `${root}${FOLDER}/host.key`, mode: '0400', owner: '_apt', content: null },
    file(KEYRING, source.keyring),
    file(
      '/etc/apt/apt.conf.d/50aptkeep',
      [
        option('CaInfo', 'ca.crt'),
        option('SslCert', 'host.crt'),
        option('SslKey', 'host.key'),
        'APT::Get::allow-downgrades "true";\n',
      ].join(''),
    ),
    file('/etc/apt/preferences.d/aptkeep', renderPins(source)),
    file('/etc/apt/sources.list.d/aptkeep.sources', renderSources(source, root)),
    file('/etc/aptkeep/client.conf', `url=${source.url}\n`),
  ];
}
