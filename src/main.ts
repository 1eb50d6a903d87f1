/** The entry point: hands over at once. Floor 10. */
import { runProgram } from './cli/program.ts';

await runProgram(process.argv.slice(2));
