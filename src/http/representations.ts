/**
 * Other representations than JSON, for clients that are a shell and curl: how the body of an
 * operation may be sent, and in which form its answer may be asked for. Refusals stay what they
 * are. Source of truth: RFC 5967 (application/pkcs10), RFC 8555 (application/pem-certificate-chain),
 * RFC 9110 section 12 (Accept). Floor 7.
 */
import type { IncomingMessage } from 'node:http';
import { RefusalError } from '../errors.ts';
import type { RoutedName } from './routes.ts';

/** By media type: the body as the operation's input; the output as text. */
export interface Representations {
  accepts?: Readonly<Record<string, (body: Buffer) => Record<string, string>>>;
  offers?: Readonly<Record<string, (output: Record<string, unknown>) => string>>;
}

const DER_SEQUENCE = 0x30;

/** PKCS#10 as PEM, which curl sends as it lies on disk, or as DER, which the RFC means. */
function readRequestBody(body: Buffer): Record<string, string> {
  if (body[0] !== DER_SEQUENCE) return { csr: body.toString('latin1') };
  const lines = body.toString('base64').match(/.{1,64}/g) ?? [];
  return {
    csr: `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`,
  };
}

function readFormBody(body: Buffer): Record<string, string> {
  const pairs = [...new URLSearchParams(body.toString('utf8'))];
  const keys = new Set(pairs.map(([key]) => key));
  if (keys.size < pairs.length) {
    throw new RefusalError('INPUT_INVALID', 'the form names something twice');
  }
  return Object.fromEntries(pairs);
}

/** One `key=value` a line, for `sed` and `while read`. */
const renderLines = (output: Record<string, unknown>): string =>
  Object.entries(output)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');

const CERTIFICATION: Representations = {
  accepts: { 'application/pkcs10': readRequestBody },
  offers: { 'application/pem-certificate-chain': ({ pem }) => String(pem) },
};

export const REPRESENTATIONS: Readonly<Partial<Record<RoutedName, Representations>>> = {
  'host.enrol': CERTIFICATION,
  'certificate.renew': CERTIFICATION,
  'certificate.self': { offers: { 'text/plain': renderLines } },
  'host.report': {
    accepts: { 'application/x-www-form-urlencoded': readFormBody },
    offers: { 'text/plain': renderLines },
  },
};

/** Every media type but JSON that some operation takes. */
const BODY_TYPES: readonly string[] = Object.values(REPRESENTATIONS).flatMap((one) =>
  Object.keys(one?.accepts ?? {}),
);

const mediaTypeOf = (request: Pick<IncomingMessage, 'headers'>): string =>
  (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';

/** Whether the body is of a type that is read as bytes; whether its operation takes it is another question. */
export const isOtherBody = (request: Pick<IncomingMessage, 'headers'>): boolean =>
  BODY_TYPES.includes(mediaTypeOf(request));

/** How this body is read for the operation; undefined where it must be JSON. */
export function findReader(
  name: RoutedName,
  request: Pick<IncomingMessage, 'headers'>,
): ((body: Buffer) => Record<string, string>) | undefined {
  return REPRESENTATIONS[name]?.accepts?.[mediaTypeOf(request)];
}
