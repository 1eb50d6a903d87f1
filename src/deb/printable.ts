/**
 * Text of a stranger as a refusal may quote it: short, printable ASCII, in quotation marks.
 * Keeps escape sequences and megabytes out of logs and terminals. Floor 1.
 */

const QUOTE_CHARACTERS = 60;

/** At most 60 characters of it, everything outside printable ASCII as `\xNN`. */
export function quoteText(text: string | Uint8Array): string {
  const bytes = Buffer.from(typeof text === 'string' ? text.slice(0, QUOTE_CHARACTERS + 1) : text);
  const shown = bytes
    .subarray(0, QUOTE_CHARACTERS)
    .toString('latin1')
    .replace(/[^\x20-\x7e]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `"${shown}${bytes.length > QUOTE_CHARACTERS ? '...' : ''}"`;
}
