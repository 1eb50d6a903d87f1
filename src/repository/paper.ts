/**
 * The papers among received files: .changes and .dsc, known by what is in them, with the text that
 * a signature is over. Floor 3.
 */
import { type Changes, MAX_CHANGES_BYTES, parseChanges } from '../deb/changes.ts';
import { readClearSigned } from '../deb/clear-sign.ts';
import { MAX_DSC_BYTES, parseDsc, type SourceControl } from '../deb/dsc.ts';
import { openReceivedFile, type ReceivedFile } from './ingest-request.ts';

/** `text` as it was received; `content` is the paragraph in it. */
export interface PaperText {
  text: Buffer;
  content: Buffer;
  isSigned: boolean;
}

export type Paper =
  | ({ kind: 'changes'; changes: Changes } & PaperText)
  | ({ kind: 'dsc'; control: SourceControl } & PaperText);

const HEAD_BYTES = 64;

/** @throws RefusalError PACKAGE_MALFORMED, PACKAGE_UNACCEPTABLE */
export function parsePaper(text: Buffer): Paper | undefined {
  const { content, isSigned } = readClearSigned(text);
  // One character a byte, as it is cheap and the names of fields are ASCII.
  const lines = content.toString('latin1');
  const has = (field: string): boolean => new RegExp(`^${field}:`, 'mi').test(lines);
  const shared = { text, content, isSigned };
  if (has('Distribution') || has('Changes')) {
    return { kind: 'changes', changes: parseChanges(content), ...shared };
  }
  const isDsc = has('Source') && has('Files') && !has('Installed-Build-Depends');
  return isDsc ? { kind: 'dsc', control: parseDsc(content), ...shared } : undefined;
}

/**
 * The paper that a file is; undefined for anything else.
 * @throws RefusalError PACKAGE_MALFORMED, PACKAGE_UNACCEPTABLE
 */
export async function readPaper(file: ReceivedFile): Promise<Paper | undefined> {
  if (file.size > Math.max(MAX_CHANGES_BYTES, MAX_DSC_BYTES)) return undefined;
  const source = await openReceivedFile(file);
  try {
    const head = (await source.read(0, HEAD_BYTES)).toString('latin1');
    if (!/^(-----BEGIN PGP SIGNED MESSAGE|[A-Za-z][A-Za-z0-9-]*:)/.test(head)) return undefined;
    return parsePaper(await source.read(0, source.size));
  } finally {
    await source.close();
  }
}
