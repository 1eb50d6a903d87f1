/** How much there is to read. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { median, ROOT } from './server.ts';

export function measureSize(): void {
  for (const folder of ['src', 'test']) {
    const lines = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => readFileSync(join(ROOT, folder, file), 'utf8').split('\n').length - 1);
    const total = lines.reduce((sum, count) => sum + count, 0);
    console.log(
      `${folder}/: ${total} lines in ${lines.length} files, median ${median(lines)}, largest ${Math.max(...lines)}`,
    );
  }
}
