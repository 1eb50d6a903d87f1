import { describe, expect, it } from 'vitest';
import { readPackage, verifyData } from '../../src/deb/archive.ts';
import { bytesOf } from '../../src/deb/byte-source.ts';
import { locate, PathList, renderContents } from '../../src/deb/contents.ts';
import { buildPackage, buildTar, dataMember, type TarEntry } from './build.ts';

const listOf = (...names: string[]): string => {
  const list = new PathList();
  for (const name of names) list.add(name);
  return list.toBuffer().toString('latin1');
};

const locationOf = (section: string): string =>
  locate('sample', Buffer.from(`Package: sample\nSection:${section}\nVersion: 1\n`, 'latin1'));

describe('PathList', () => {
  it('takes the leading dot and slashes away, and nothing else', () => {
    expect(listOf('./usr/bin/a', 'usr/bin/b', '/usr/bin/c', './/d', '.e', './.f', '../g')).toBe(
      'usr/bin/a\nusr/bin/b\nusr/bin/c\nd\n.e\n.f\n../g\n',
    );
  });

  it('keeps the bytes of a path as they are', () => {
    expect(listOf('./a b', './c\td', './\xff\xfe', './e,f')).toBe('a b\nc\td\n\xff\xfe\ne,f\n');
  });

  it('leaves out what would be two lines', () => {
    expect(listOf('./a\nusr/bin/forged', './b')).toBe('b\n');
  });

  it('says so where there are too many, and holds none of them', () => {
    const list = new PathList(20);
    for (let number = 0; number < 100; number += 1) list.add(`./path-${number}`);
    expect(list.isWhole).toBe(false);
    expect(list.toBuffer()).toHaveLength(0);
  });

  it('is given every member of data.tar but the directories', async () => {
    const entries: TarEntry[] = [
      { name: './', type: '5' },
      { name: './usr/', type: '5' },
      { name: './usr/file', content: 'x' },
      { name: './usr/hard', type: '1', linkName: './usr/file' },
      { name: './usr/soft', type: '2', linkName: 'file' },
      { name: './usr/fifo', type: '6' },
    ];
    const source = bytesOf(buildPackage({ data: dataMember(buildTar(entries)) }));
    const list = new PathList();
    const limits = { outputBytes: 1e6 };
    await verifyData(source, await readPackage(source), limits, (name) => list.add(name));
    expect(list.toBuffer().toString()).toBe('usr/file\nusr/hard\nusr/soft\nusr/fifo\n');
  });
});

describe('locate', () => {
  it.each([
    [' admin', 'admin/sample'],
    ['\tnon-free/web ', 'non-free/web/sample'],
    ['', 'sample'],
    [' two words', 'sample'],
    [' a/x,b', 'sample'],
    [' caf\xe9', 'sample'],
  ])('of Section:%s is %s', (section, location) => {
    expect(locationOf(section)).toBe(location);
  });

  it('of a stanza without a section is the package', () => {
    expect(locate('sample', Buffer.from('Package: sample\nX-Section: a\n'))).toBe('sample');
  });
});

describe('renderContents', () => {
  it('ends every path with the location, byte for byte', () => {
    const paths = Buffer.from('usr/a b\nusr/\xff\n', 'latin1');
    expect(renderContents(paths, 'x/$&').toString('latin1')).toBe(
      'usr/a b\tx/$&\nusr/\xff\tx/$&\n',
    );
    expect(renderContents(new Uint8Array(), 'x/y')).toHaveLength(0);
  });
});
