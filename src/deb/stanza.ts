/** What a rendered stanza says, where it has to be read again. Source: deb822(5). Floor 1. */

/** The source package of a binary one; its own name and version where the stanza names none. */
export function readStanzaSource(
  stanza: Uint8Array,
  own: { name: string; version: string },
): { name: string; version: string } {
  const match = /^Source:[ \t]*([^\s()]+)(?:[ \t]*\([ \t]*([^\s()]+)[ \t]*\))?/im.exec(
    Buffer.from(stanza).toString('latin1'),
  );
  return { name: match?.[1] ?? own.name, version: match?.[2] ?? own.version };
}
