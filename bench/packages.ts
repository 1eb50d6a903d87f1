/** Packages of a wanted size, built by dpkg-deb from bytes that do not compress. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CHUNK_BYTES = 1_048_576;

/** Builds into a new temporary folder; resolves with the path of the .deb. */
export function buildSample(
  name: string,
  version: string,
  bytes: number,
  compression = 'gzip',
): string {
  const folder = mkdtempSync(join(tmpdir(), 'aptkeep-sample-'));
  const root = join(folder, 'root');
  mkdirSync(join(root, 'DEBIAN'), { recursive: true });
  mkdirSync(join(root, 'usr/share', name), { recursive: true });
  const control = `Package: ${name}\nVersion: ${version}\nArchitecture: all\nMaintainer: Bench <bench@localhost>\nDescription: sample of ${bytes} bytes\n`;
  writeFileSync(join(root, 'DEBIAN/control'), control);
  for (let at = 0, part = 0; at < bytes; at += CHUNK_BYTES, part += 1) {
    const content = randomBytes(Math.min(CHUNK_BYTES, bytes - at));
    writeFileSync(join(root, 'usr/share', name, `part${part}`), content);
  }
  const path = join(folder, `${name}_${version}_all.deb`);
  execFileSync(
    'dpkg-deb',
    ['--root-owner-group', `-Z${compression}`, '-z1', '--build', root, path],
    {
      stdio: 'ignore',
    },
  );
  return path;
}
