/** Packages for uploads, as dpkg-deb builds them. Source: deb(5). */
import { runDpkgDeb } from '../deb/build.ts';

export interface WantedPackage {
  version?: string;
  architecture?: string;
  payload?: string | Uint8Array;
}

const built = new Map<string, Buffer>();

/** The bytes of a small package; the same ones when asked for the same again. */
export function buildDeb(name: string, wanted: WantedPackage = {}): Buffer {
  const key = JSON.stringify([name, wanted]);
  const bytes = built.get(key) ?? runBuild(name, wanted);
  built.set(key, bytes);
  return bytes;
}

function runBuild(name: string, wanted: WantedPackage): Buffer {
  const { version = '1.0', architecture = 'all', payload = 'hello\n' } = wanted;
  const control = [
    `Package: ${name}`,
    `Version: ${version}`,
    `Architecture: ${architecture}`,
    'Maintainer: Test <test@aptkeep.example>',
    'Description: a package made for a test',
    '',
  ].join('\n');
  return runDpkgDeb(control, ['-Zgzip', '-z1'], { [`usr/share/${name}/payload`]: payload });
}

/** A multipart/form-data body (RFC 7578) and its type; each part is a field name and its bytes. */
export function buildForm(parts: [string, Uint8Array][]): { type: string; body: Buffer } {
  const boundary = '----------------------------aptkeep7578';
  const chunks = parts.flatMap(([field, bytes], index) => [
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="${field}"; filename="part-${index}.deb"\r\nContent-Type: application/octet-stream\r\n\r\n`,
    ),
    bytes,
    Buffer.from('\r\n'),
  ]);
  return {
    type: `multipart/form-data; boundary=${boundary}`,
    body: Buffer.concat([...chunks, Buffer.from(`--${boundary}--\r\n`)]),
  };
}
