/**
 * What nginx says of a client with every request: who sends this, which certificate was shown, from
 * where. Each header must be there once and is gone afterwards; the whole certificate is read again.
 * Source: ngx_http_ssl_module ($ssl_client_escaped_cert, $ssl_client_verify). Floor 7.
 */
import { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { isSameSecret } from '../../secret.ts';

/** nginx sets every one of them, so that what a client sends under these names never arrives. */
export const HANDOVER_HEADERS = {
  secret: 'Aptkeep-Proxy-Secret',
  verify: 'Aptkeep-Client-Verify',
  certificate: 'Aptkeep-Client-Certificate',
  address: 'Aptkeep-Client-Address',
} as const;

type HandoverPart = keyof typeof HANDOVER_HEADERS;

export interface Handover {
  /** `SUCCESS`, or what OpenSSL had against the certificate. */
  verify: string;
  /** As nginx spells it: PEM, percent-encoded. */
  certificate: string;
  /** Undefined where the client came by a socket that has none. */
  address: string | undefined;
}

/** Takes what a request says under one name, out of its headers too; undefined unless said once. */
function take({ headers, rawHeaders }: IncomingMessage, part: HandoverPart): string | undefined {
  const name = HANDOVER_HEADERS[part].toLowerCase();
  delete headers[name];
  const found: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.toLowerCase() === name) found.push(rawHeaders[index + 1] ?? '');
  }
  return found.length === 1 ? found[0] : undefined;
}

/** Undefined for whoever does not know the secret, however much else they say. */
export function readHandover(request: IncomingMessage, secret: string): Handover | undefined {
  const shown = take(request, 'secret');
  const verify = take(request, 'verify');
  const certificate = take(request, 'certificate');
  const address = take(request, 'address');
  if (shown === undefined || !isSameSecret(shown, secret)) return undefined;
  return {
    verify: verify ?? 'NONE',
    certificate: certificate ?? '',
    address: address !== undefined && isIP(address) !== 0 ? address : undefined,
  };
}

const ONE_PEM =
  /^-----BEGIN CERTIFICATE-----\n((?:[A-Za-z0-9+/]{1,76}={0,2}\n)+)-----END CERTIFICATE-----\n*$/;

/** The bytes of the certificate; undefined for anything that is not exactly one. */
export function readShownCertificate(escaped: string): Buffer | undefined {
  try {
    const [, body] = ONE_PEM.exec(decodeURIComponent(escaped)) ?? [];
    return body === undefined ? undefined : Buffer.from(body, 'base64');
  } catch {
    return undefined;
  }
}

/** For what a stranger's certificate says of itself. */
export function readClaim(raw: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(raw);
  } catch {
    return undefined;
  }
}
