/**
 * What the door, the list, the authority and what is behind them must withstand, and which test
 * shows each. A test that is renamed or dropped is missed here; one that is new has its line here.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const TEST = new URL('..', import.meta.url).pathname;
const read = (file: string): string => readFileSync(`${TEST}${file}.test.ts`, 'utf8');

/** A file below test/, and the titles in it, or the names of its cases. */
type Shown = readonly [file: string, ...titles: string[]];

const HANDSHAKE: Record<string, Shown[]> = {
  'a valid certificate gets its answer': [
    ['attack/handshake', 'is let in under %s'],
    ['attack/clients', 'a valid certificate', 'openssl s_client', 'curl', 'gnutls-cli'],
  ],
  'a revoked one is told so under both versions, and apt ends with 100': [
    ['attack/handshake', 'revoked', 'expired and revoked: revoked'],
    ['attack/clients', 'a revoked one'],
    ['e2e/revocation', 'stays refused when apt-get asks, which says why and exits 100'],
  ],
  'an expired one and one of the future are told so': [
    ['attack/handshake', 'expired', 'not yet valid'],
    ['attack/clients', 'an expired one', 'one not yet valid'],
  ],
  'another CA, also one of our name that clones a serial': [
    [
      'attack/handshake',
      'another CA',
      'a CA of the same name with another key, the serial of an honest certificate',
    ],
    ['attack/clients', 'one of another CA', 'one of a CA of the same name, with a cloned serial'],
  ],
  'self-signed, and none at all': [
    ['attack/handshake', 'self-signed, of the same name', 'no certificate'],
    ['attack/clients', 'a self-signed one', 'no certificate'],
  ],
  'made for servers, for any purpose, for none, for another': [
    [
      'attack/handshake',
      'for servers only',
      'for any purpose',
      'for no purpose at all',
      'for code signing',
    ],
    ['attack/clients', 'one for servers only'],
  ],
  'issued by a leaf; the client CA as a client': [
    ['attack/handshake', 'a leaf as its issuer', 'the client CA itself', 'CA:TRUE'],
  ],
  'weak: RSA of 1024 bits, SHA-1': [
    ['attack/handshake', 'RSA of 1024 bits', 'a signature with SHA-1'],
  ],
  'with an extension that is critical and unknown': [
    ['attack/handshake', 'an unknown critical extension'],
  ],
  'of the server CA': [
    ['attack/handshake', 'the certificate of the server', 'a client certificate of the server CA'],
    ['attack/clients', 'one of the server CA'],
  ],
  'TLS 1.1 and older; renegotiation': [
    [
      'attack/handshake',
      'openssl s_client %s is refused by an alert',
      'GnuTLS is refused TLS 1.1 and let in with TLS 1.2',
      'refuses renegotiation, and the connection is gone',
    ],
    [
      'attack/clients',
      'renegotiation is refused to',
      'openssl s_client, whose connection is over',
      'gnutls-cli, whose connection is over',
    ],
  ],
  'thousands of handshakes that are never finished': [
    ['attack/handshake', 'three thousand half-open handshakes hinder nobody'],
    ['attack/smuggling', 'over its handshake is closed'],
  ],
};

const LIST: Record<string, Shown[]> = {
  'out of date: on a new connection and on one that was open': [
    [
      'attack/crl',
      'shuts the door to new and to open connections, under both versions, on every path',
    ],
    ['attack/clients', 'hears that the list is out of date, whichever version it speaks'],
    [
      'attack/foreign',
      'closes the door to everybody when it runs out, until it was renewed and read',
    ],
  ],
  'running out in the middle of a download': [
    [
      'attack/crl',
      'cuts the download and the upload that are under way, and lets nothing of them stay',
    ],
    [
      'attack/workers',
      'closes every worker to everyone, in the middle of a download too, until the next list',
    ],
  ],
  'not loaded, the old one stays, and there is an alarm': [
    [
      'attack/lists',
      '%s is not loaded: the one before it stays, and there is an alarm',
      'from the future',
      'of another key',
      'with one byte changed',
      'of a lower number',
      'that is a delta',
      'with an unknown critical extension',
    ],
    ['authority/foreign', 'stays in force when the file becomes %s'],
    ['pki/crl', 'are refused with any byte changed, cut off or added'],
  ],
  'set back to an older one': [
    [
      'attack/lists',
      'is not set back by a catalog from before a revocation',
      'in certs/ that is %s changes nothing',
    ],
    ['authority/revoke', 'is never replaced by an older one'],
  ],
  'empty or missing at the start': [
    [
      'attack/lists',
      '%s at the start, with none from before: nothing is served',
      'empty',
      'missing',
      'that is lost everywhere is made again from what is recorded as revoked',
      'that is %s in the catalog: the server does not start',
    ],
  ],
  'of a hundred thousand entries': [
    ['attack/crl', 'is issued, verified by openssl, and in force at once'],
    ['authority/foreign', 'is read, and each of its entries counts'],
  ],
  'a day without its timer, and one local command': [
    [
      'attack/crl',
      'does not open for an admin who asks over the network',
      'opens by one local command, without a restart, for connections that stayed too',
    ],
  ],
  'serials that begin with zeros or have the top bit set': [
    [
      'attack/handshake',
      'whose serial has %s is let in, and refused once revoked',
      'leading zeros',
      'the top bit set',
    ],
  ],
};

const OPEN: Record<string, Shown[]> = {
  'revoked, then the session resumed': [
    ['attack/handshake', 'resumes no session under %s, so that each handshake is judged'],
    [
      'attack/clients',
      'TLS 1.2 by its ticket',
      'TLS 1.2 by its number',
      'TLS 1.3 by a shared key',
      'by gnutls-cli --resume, TLS %s',
    ],
  ],
  'kept alive': [['attack/open', 'on many idle connections loses them all']],
  'in the middle of a download, with ten requests pipelined': [
    [
      'attack/open',
      'that had ten requests pipelined gets no further answer; another one gets all of its',
    ],
    ['e2e/revocation', 'has its download cut, while the same download by another host ends well'],
  ],
  'in the middle of an upload': [
    [
      'attack/open',
      'of PUT in mid-body',
      'of chunks in mid-body',
      'of a form between two parts',
      'whose bytes are all here, in the moment before they are placed',
    ],
  ],
  'through another worker': [
    [
      'attack/workers',
      'is refused by every worker when the revocation returns: idle connections, busy ones, new ones',
      'publishes nothing of an upload that was under way in any worker',
    ],
  ],
  'with Expect, Upgrade, CONNECT': [
    [
      'attack/open',
      'after 100 Continue',
      'with an upgrade announced',
      'is refused a request halfway here, %s',
      'is refused on a new connection, %s',
      'with Expect',
      'with Upgrade to a WebSocket',
      'with CONNECT',
    ],
    ['attack/smuggling', 'CONNECT opens nothing', 'Upgrade: %s is not followed'],
  ],
  'and everyone else goes on': [
    ['attack/open', 'is not disturbed by fifty revocations in a row'],
    ['attack/soak', 'nobody is answered whose revocation returned, and nobody else goes without'],
  ],
};

const AUTHORISATION: Record<string, Shown[]> = {
  'a host uploads': [['attack/authorisation', 'a host that uploads']],
  'an uploader at the interface of the admin': [
    ['attack/authorisation', 'is closed to the certificate of a %s'],
  ],
  'a host reads what is another’s': [
    ['attack/authorisation', '/v1/hosts/other', '/v1/hosts/other/apt', '/v1/certificates/other'],
    ['attack/reading', 'reads nothing; a host of the group does'],
    [
      'attack/past',
      'the past is refused by %s, and read by who may',
      'nothing is found by %s',
      'the changelog is not there, and is read by who may',
      'nothing is written there',
    ],
  ],
  'headers that say who asks': [
    [
      'attack/authorisation',
      'gains nothing by %s',
      'X-Client-Cert',
      'X-Forwarded-For',
      'X-Forwarded-Client-Cert',
    ],
    ['attack/workers', 'is not what a client says of itself'],
  ],
  'CN=admin in the certificate of a host': [
    ['attack/authorisation', 'CN=admin', 'for a host named admin too'],
  ],
  'what nginx hands over, said by somebody else, or by nginx of a stranger': [
    [
      'attack/proxy',
      'is hung up on without a word, whatever else is said',
      'is a stranger with %s',
      'is a stranger where nginx has not verified, or says so twice',
      'is refused when revoked, and cut in the middle',
      'mean nothing on the port that everybody reaches',
    ],
    [
      'e2e/nginx',
      'by saying itself what nginx says of a client',
      'is in force when it returns, though nginx has read nothing again',
      'leaves nobody a session to resume',
    ],
  ],
};

const AUTHORITY: Record<string, Shown[]> = {
  'a request that asks for CA:TRUE, a DNS name, another name': [
    ['attack/enrolment', 'CA:TRUE', 'a DNS name', 'another name', 'server authentication'],
    ['authority/issue', 'takes nothing of a request that asks for more'],
  ],
  'a request that was tampered with': [['attack/enrolment', 'tampered']],
  'an enrolment certificate twice, at once, late, for another name': [
    [
      'attack/enrolment',
      'is told that it is revoked when it comes again, and openssl says so too',
      'used by twenty at once gives one certificate, and nineteen refusals',
      'after its hour gives none',
      'not %s',
    ],
  ],
  'renewal by a certificate that is revoked or expired': [
    [
      'attack/enrolment',
      'that is revoked renews nothing, %s',
      'that is expired renews nothing, on the connection that was open before either',
    ],
  ],
  'kill -9 during issue, revocation, enrolment': [
    ['attack/killed', 'uses no serial twice and loses no revocation that was answered'],
    ['authority/revoke', 'reuses no serial and loses no revocation that was acknowledged'],
    [
      'attack/enrolment',
      'reuses no serial, loses no certificate that was answered, and lets no kit be used twice',
    ],
  ],
  'everything that was issued is verified by openssl and GnuTLS': [
    ['e2e/verified', 'a directory in which one certificate is not what it should be'],
    ['pki/certificate', 'are verified by openssl and certtool, under a CA of %s'],
  ],
};

const PACKAGES: Record<string, Shown[]> = {
  'broken and malicious packages, bombs, members and fields abused': [
    ['attack/packages', 'is refused, and nothing stays: %s'],
    ['deb/archive', 'refuses %s'],
    ['deb/control', 'never fails with anything but a refusal on a damaged file'],
  ],
  'clients of ours that hold what they have': [
    [
      'attack/idle',
      'that stands still is cut, and nothing of it stays',
      'that goes on slowly is not, for much longer than it may stand still',
      'on which nothing is said hinder neither curl nor apt-get',
    ],
  ],
  'what is odd and a package all the same': [
    ['attack/packages', 'is taken, in bounded memory: %s'],
    ['deb/archive', 'reads %s'],
  ],
};

/** Whether a source has this text as a string of its own. */
function hasTitle(source: string, title: string): boolean {
  const written = [`'${title}'`, `"${title}"`, `\`${title}\``];
  return (
    written.some((one) => source.includes(one)) ||
    new RegExp(`^  ${title}: async`, 'm').test(source)
  );
}

describe.each([
  ['the handshake', HANDSHAKE],
  ['the revocation list', LIST],
  ['open connections', OPEN],
  ['authorisation', AUTHORISATION],
  ['the authority', AUTHORITY],
  ['packages and patience', PACKAGES],
])('%s', (_name, items) => {
  it.each(Object.entries(items))('%s', (_item, shown) => {
    const missing = shown.flatMap(([file, ...titles]) => {
      const source = read(file);
      return titles.filter((title) => !hasTitle(source, title)).map((title) => `${file}: ${title}`);
    });
    expect(missing).toEqual([]);
    expect(shown.length).toBeGreaterThan(0);
  });
});

describe('the tests of this folder', () => {
  it('are all run: none is skipped, left for later, expected to fail, or alone', () => {
    const files = readdirSync(`${TEST}attack`).filter((file) => file.endsWith('.test.ts'));
    const marked = /\b(it|test|describe)\.(skip|only|todo|fails|skipIf|runIf)\b/;
    const sources = files.filter((file) => file !== 'list.test.ts');
    expect(sources.length).toBeGreaterThan(10);
    expect(
      sources.filter((file) => marked.test(readFileSync(`${TEST}attack/${file}`, 'utf8'))),
    ).toEqual([]);
  });

  it('are named above, each file of them', () => {
    const all = JSON.stringify([HANDSHAKE, LIST, OPEN, AUTHORISATION, AUTHORITY, PACKAGES]);
    const files = readdirSync(`${TEST}attack`)
      .filter((file) => file.endsWith('.test.ts'))
      .map((file) => `attack/${file.replace('.test.ts', '')}`);
    // What the gate writes down is no attack withstood.
    const exempt = ['attack/list', 'attack/gate-audit'];
    expect(files.filter((file) => !all.includes(`"${file}"`))).toEqual(exempt.toReversed());
  });
});
