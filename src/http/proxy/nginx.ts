/**
 * A configuration for Debian's nginx in front of this server. It speaks TLS with the same
 * certificate and lists, hands the whole certificate of each client over, and sends packages that we
 * point it to. Source: nginx's documentation of ngx_http_ssl_module, ngx_http_proxy_module,
 * ngx_http_core_module. Floor 7.
 */
import { isAbsolute, join, resolve } from 'node:path';
import type { Config } from '../../config.ts';
import { RefusalError } from '../../errors.ts';
import { HANDOVER_HEADERS } from './handover.ts';
import { proxyFolder, proxyPath } from './proxy-files.ts';

/** Below it nginx finds the pool; only an answer of ours leads there. */
const POOL_LOCATION = '/.aptkeep-pool/';

/** Where nginx reads a file of the pool: its key without "pool/", escaped as a path. */
export const locatePooled = (key: string): string =>
  POOL_LOCATION + key.split('/').slice(1).map(encodeURIComponent).join('/');

export function proxySocketPath({ data, values }: Config): string {
  const path = values['proxy.socket'];
  return path === null ? join(proxyFolder(data), 'aptkeep.sock') : resolve(data, path);
}

/** @throws RefusalError CONFIG_INVALID for a path that nginx would read otherwise. */
function quote(path: string): string {
  if (/["\\$\p{Cc}]/u.test(path)) {
    throw new RefusalError(
      'CONFIG_INVALID',
      `${JSON.stringify(path)}: a path in nginx's configuration has no quote, backslash or $`,
    );
  }
  return `"${path}"`;
}

function describeListen({ values }: Config): string {
  const { host, port } = values['proxy.listen'];
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The server's certificate, its key, and where the key's passphrase is. */
function renderPair({ data, values, texts }: Config): string[] {
  const locate = (path: string): string => (isAbsolute(path) ? path : join(data, path));
  const certificate = values['server.certificate'] ?? 'certs/server.crt';
  const key = values['server.key'] ?? 'certs/server.key';
  const lines = [
    `ssl_certificate     ${quote(locate(certificate))};`,
    `ssl_certificate_key ${quote(locate(key))};`,
  ];
  const file = values['keys.passphraseFile'];
  if (file !== null) return [...lines, `ssl_password_file   ${quote(file)};`];
  if (texts['keys.passphrase'] === '') return lines;
  return [
    ...lines,
    '# The key is under a passphrase; nginx wants a file whose first line is that, mode 0600:',
    '# ssl_password_file "…";',
  ];
}

const POOL_LINES = (data: string): string[] => [
  '',
  '    # Packages: aptkeep says which, after it has judged the client; nginx sends the bytes.',
  `    location ${POOL_LOCATION} {`,
  '        internal;',
  `        alias ${quote(`${join(data, 'pool')}/`)};`,
  `        disable_symlinks on from=${quote(join(data, 'pool'))};`,
  '        sendfile on;',
  '        tcp_nopush on;',
  '        open_file_cache max=1000 inactive=60s;',
  '        open_file_cache_valid 10s;',
  '    }',
];

/** The text for /etc/nginx/conf.d/ or sites-enabled/, read inside of `http { }`. */
export function renderNginx(config: Config): string {
  const { data, values } = config;
  const names = values.hostname.filter((name) => !name.includes(':'));
  const sets = [
    ['Host', '$http_host'],
    ['Connection', 'close'],
    [HANDOVER_HEADERS.verify, '$ssl_client_verify'],
    [HANDOVER_HEADERS.certificate, '$ssl_client_escaped_cert'],
    [HANDOVER_HEADERS.address, '$remote_addr'],
  ].map(([name, value]) => `        proxy_set_header ${name} ${value};`);
  const lines = [
    '# nginx in front of aptkeep, as `aptkeep config nginx` prints it.',
    '# aptkeep has to run with proxy.trust (serve --trust-proxy). Reload nginx whenever a file below',
    `# ${proxyFolder(data)} or the server's certificate has changed.`,
    'upstream aptkeep {',
    `    server unix:${checkSocket(proxySocketPath(config))};`,
    '}',
    '',
    'server {',
    `    listen ${describeListen(config)} ssl;`,
    `    server_name ${names.length > 0 ? names.join(' ') : '_'};`,
    '    server_tokens off;',
    '    gzip off;',
    '',
    ...renderPair(config).map((line) => `    ${line}`),
    '    ssl_protocols TLSv1.2 TLSv1.3;',
    '    ssl_prefer_server_ciphers on;',
    '',
    '    # Nobody without a certificate of these authorities that no list names.',
    '    ssl_verify_client on;',
    '    ssl_verify_depth 10;',
    `    ssl_client_certificate ${quote(proxyPath(data, 'client-ca.pem'))};`,
    `    ssl_crl ${quote(proxyPath(data, 'crl.pem'))};`,
    '    # A resumed session is not checked against a newer list: there are none.',
    '    ssl_session_cache off;',
    '    ssl_session_tickets off;',
    '    error_page 495 496 =403 /.aptkeep-refused;',
    '    location = /.aptkeep-refused {',
    '        internal;',
    '        default_type text/plain;',
    '        return 403 "client certificate: $ssl_client_verify\\n";',
    '    }',
    '',
    '    # aptkeep has its own limits of size and patience.',
    '    client_max_body_size 0;',
    `    client_body_timeout ${Math.ceil(values['upload.idleTimeout'] / 1000)}s;`,
    '    underscores_in_headers off;',
    '    ignore_invalid_headers on;',
    '',
    '    location / {',
    '        proxy_pass http://aptkeep;',
    '        proxy_http_version 1.1;',
    '        proxy_request_buffering off;',
    '        proxy_max_temp_file_size 0;',
    '        proxy_next_upstream off;',
    '        proxy_read_timeout 1h;',
    '        proxy_send_timeout 1h;',
    '        # Every one is set here, so that nothing a client sends under these names gets through.',
    ...sets,
    `        include ${quote(proxyPath(data, 'secret.conf'))};`,
    '    }',
    ...(values['proxy.sendFiles'] ? POOL_LINES(data) : []),
    '}',
  ];
  return `${lines.join('\n')}\n`;
}

/** The one path that nginx takes without quotes. @throws RefusalError CONFIG_INVALID */
function checkSocket(path: string): string {
  if (/^[^\s"'\\$;{}:\p{Cc}]+$/u.test(path)) return path;
  throw new RefusalError(
    'CONFIG_INVALID',
    `proxy.socket: nginx takes no path with blanks, quotes, colons, $ ; { }: ${JSON.stringify(path)}`,
  );
}
