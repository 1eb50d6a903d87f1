/**
 * Whose turn it is to hold a decoder with a large dictionary. Floor 1.
 */

/** xz may hold 64 MiB, zstd 128 MiB: more readers than this wait. */
const MAX_DECODERS = 4;

let taken = 0;
const waiting: (() => void)[] = [];

async function takeTurn(): Promise<void> {
  if (taken < MAX_DECODERS) taken += 1;
  else await new Promise<void>((resolve) => waiting.push(resolve));
}

function passTurn(): void {
  const next = waiting.shift();
  if (next === undefined) taken -= 1;
  else next();
}

/** The same chunks, once it is their turn; the turn ends when the reader does, early or not. */
export async function* awaitTurn<Chunk>(chunks: () => AsyncIterable<Chunk>): AsyncGenerator<Chunk> {
  await takeTurn();
  try {
    yield* chunks();
  } finally {
    passTurn();
  }
}
