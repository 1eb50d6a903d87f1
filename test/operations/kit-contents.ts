/** What stands in a kit, read as the shell reads it: between a here-document's marks. */

/** The texts that a kit writes to a file of its own folder or to a path of the host. */
export function readKitFile(kit: string, file: string): string[] {
  const escaped = file.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const marks = new RegExp(
    `^ {2}(?:cat >"\\$work/|place )${escaped}\\b.*\\n([\\s\\S]*?\\n)END$`,
    'gm',
  );
  return [...kit.matchAll(marks)].map((match) => match[1] ?? '');
}
