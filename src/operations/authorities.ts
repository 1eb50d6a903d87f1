/** Operations on the two CAs: what there is, and putting another one in its place. Floor 5. */
import { z } from 'zod';
import { type AuthorityKind, filesOf, isRotating, type Place } from '../authority/exchange.ts';
import { beginRotation, finishRotation } from '../authority/rotate.ts';
import { readCertificate } from '../pki/certificate.ts';
import { ADMINS, defineOperation, type Parts, READERS } from './operation.ts';
import { followers, listAuthorityFollowers, refuseFollowers } from './rotations.ts';

const KINDS = ['client', 'server'] as const;

const OVERLAP_STATES = { client: 'previous', server: 'next' } as const;

const generation = z.object({
  name: z.string(),
  fingerprint: z.string().describe('SHA-256 of the DER form, in lower-case hex'),
  notBefore: z.string(),
  notAfter: z.string(),
});

const authority = z.object({
  authority: z.enum(KINDS),
  current: generation,
  other: z
    .object({ ...generation.shape, state: z.enum(['previous', 'next']) })
    .nullable()
    .describe('the one that counts as well while a rotation lasts'),
  followers,
});

async function readGeneration(
  parts: Parts,
  kind: AuthorityKind,
  place: Place,
): Promise<z.input<typeof generation>> {
  const pem = await parts.authority.certs.readText(filesOf(kind, place).certificate);
  const facts = readCertificate(pem);
  return {
    name: facts.subject.commonName,
    fingerprint: facts.fingerprint,
    notBefore: facts.notBefore.toISOString(),
    notAfter: facts.notAfter.toISOString(),
  };
}

async function describeAuthority(
  parts: Parts,
  kind: AuthorityKind,
): Promise<z.input<typeof authority>> {
  const rotating = await isRotating(parts.authority.certs, kind);
  return {
    authority: kind,
    current: await readGeneration(parts, kind, 'current'),
    other: rotating
      ? { ...(await readGeneration(parts, kind, 'overlap')), state: OVERLAP_STATES[kind] }
      : null,
    followers: rotating ? await listAuthorityFollowers(parts, kind) : [],
  };
}

export const listAuthorities = defineOperation({
  summary: 'The client CA and the server CA, and how far their rotation is',
  roles: READERS,
  changes: false,
  input: z.object({}),
  output: z.object({ authorities: z.array(authority) }),
  async run(parts) {
    return { authorities: await Promise.all(KINDS.map((kind) => describeAuthority(parts, kind))) };
  },
});

export const rotateAuthority = defineOperation({
  summary: 'Put a new CA beside the one there is; both count until the rotation is finished',
  roles: ADMINS,
  changes: true,
  input: z.object({ authority: z.enum(KINDS) }),
  output: authority,
  subject: (input) => `${input.authority} CA`,
  async run(parts, input) {
    await beginRotation(parts.authority, input.authority);
    return describeAuthority(parts, input.authority);
  },
});

export const finishAuthority = defineOperation({
  summary: 'End the rotation of a CA: the one before is refused from now on',
  roles: ADMINS,
  changes: true,
  input: z.object({
    authority: z.enum(KINDS),
    force: z.boolean().default(false).describe('also where somebody is locked out by it'),
  }),
  output: authority,
  subject: (input) => `${input.authority} CA`,
  async run(parts, { authority: kind, force }) {
    if (await isRotating(parts.authority.certs, kind)) {
      refuseFollowers(`${kind} CA`, await listAuthorityFollowers(parts, kind), force);
    }
    await finishRotation(parts.authority, kind, await parts.serverNames());
    return describeAuthority(parts, kind);
  },
});
