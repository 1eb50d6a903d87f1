/** The entry point: hands over at once, with compiled code kept from the last time. Floor 10. */
import { enableCompileCache } from 'node:module';

// Where the program itself lives, and nobody else may write: not in a shared temporary folder.
enableCompileCache(new URL('../node_modules/.cache/compile', import.meta.url).pathname);
const { runProgram } = await import('./cli/program.ts');
await runProgram(process.argv.slice(2));
