/**
 * The package `<organisation>-archive-keyring`: the public keyring where Debian's own packages put
 * theirs. Source: Debian Policy 5.6.7 for the name. Floor 3.
 */
import { buildPackage } from '../deb/build.ts';
import { describeKey, exportKeyring, type PublicKey } from '../signing/key.ts';
import type { OwnPackage } from './own-packages.ts';

/** The organisation's name as a package name may have it. */
function slugOf(organisation: string): string {
  const slug = organisation
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return slug.length > 1 ? slug : 'aptkeep';
}

/**
 * @param edition grows whenever the keys change. The version is the day the newest key was made and
 *   the edition, so that each step of a rotation makes an upgrade.
 */
export async function buildKeyringPackage(
  organisation: string,
  keys: readonly PublicKey[],
  edition: number,
): Promise<OwnPackage & { filename: string }> {
  const facts = await Promise.all(keys.map(describeKey));
  const newest = Math.max(...facts.map((one) => one.created.getTime()));
  const day = new Date(newest).toISOString().slice(0, 10).replaceAll('-', '.');
  const version = edition === 0 ? day : `${day}.${edition}`;
  const name = `${slugOf(organisation)}-archive-keyring`;
  const content = await buildPackage(
    {
      Package: name,
      Version: version,
      Architecture: 'all',
      Maintainer: `${organisation} <root@localhost>`,
      Section: 'misc',
      Priority: 'optional',
      'Multi-Arch': 'foreign',
      Description: `OpenPGP keyring of the ${organisation} package repository`,
    },
    [{ path: `/usr/share/keyrings/${name}.gpg`, content: exportKeyring(keys).binary, mode: 0o644 }],
    Math.floor(newest / 1000),
  );
  return { package: name, version, filename: `${name}_${version}_all.deb`, content };
}
