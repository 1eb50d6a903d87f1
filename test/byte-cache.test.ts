import { describe, expect, it } from 'vitest';
import { ByteCache } from '../src/byte-cache.ts';

const of = (length: number): Buffer => Buffer.alloc(length);
const held = (cache: ByteCache, ...names: string[]): string =>
  names.filter((name) => cache.get(name)).join('');

describe('ByteCache', () => {
  it('lets what was asked for longest ago go', () => {
    const cache = new ByteCache(10);
    cache.keep('a', of(4));
    cache.keep('b', of(4));
    cache.get('a');
    cache.keep('c', of(4));
    expect(held(cache, 'a', 'b', 'c')).toBe('ac');
  });

  it('counts what is replaced once, and holds nothing that is larger than all', () => {
    const cache = new ByteCache(10);
    for (let time = 0; time < 5; time += 1) cache.keep('a', of(6));
    cache.keep('b', of(4));
    expect(held(cache, 'a', 'b')).toBe('ab');
    cache.keep('c', of(11));
    expect(held(cache, 'a', 'b', 'c')).toBe('');
    cache.keep('d', of(10));
    expect(held(cache, 'd')).toBe('d');
  });

  it('takes what is offered where there is room, and lets nothing go for it', () => {
    const cache = new ByteCache(10);
    cache.offer('a', of(6));
    cache.offer('b', of(5));
    cache.offer('c', of(4));
    cache.offer('a', of(7));
    expect(held(cache, 'a', 'b', 'c')).toBe('ac');
    expect(cache.get('a')?.length).toBe(6);
  });
});
