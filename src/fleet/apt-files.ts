/**
 * The files with which a host's apt reaches this repository. Source: sources.list(5),
 * apt-transport-https(1): the certificate is configured for the host name alone, without a port.
 * Floor 4.
 */

/** One file; `owner` is null for root, `content` is null for what is there already: the private key. */
export interface AptFile {
  path: string;
  mode: string;
  owner: '_apt' | null;
  content: string | null;
}

export interface AptSource {
  host: string;
  url: string;
  suites: readonly { name: string; components: readonly string[] }[];
  /** The certificate of this host, PEM; null where it came from elsewhere and stands beside its key. */
  certificate: string | null;
  /** The CA of the server's certificate, PEM. */
  ca: string;
  /** The public OpenPGP key, armoured. */
  keyring: string;
}

/** Where the files stand below a host's root directory. */
const FOLDER = '/etc/apt/aptkeep';
const KEYRING = '/etc/apt/keyrings/aptkeep.asc';

/**
 * @param root '' for the host itself, or a directory that stands in for its root.
 */
export function listAptFiles(source: AptSource, root: string): AptFile[] {
  const { hostname } = new URL(source.url);
  const stanzas = source.suites.map((suite) =>
    [
      'Types: deb',
      `URIs: ${source.url}/`,
      `Suites: ${suite.name}`,
      `Components: ${suite.components.join(' ')}`,
      `Signed-By: ${root}${KEYRING}`,
      '',
    ].join('\n'),
  );
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
      option('CaInfo', 'ca.crt') + option('SslCert', 'host.crt') + option('SslKey', 'host.key'),
    ),
    file('/etc/apt/sources.list.d/aptkeep.sources', stanzas.join('\n')),
  ];
}
