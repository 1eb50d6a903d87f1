/**
 * A secret text that shows itself as "[masked]" wherever it is printed, logged or put into JSON by
 * mistake: only `reveal` gives it. Floor 0.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';

const MASK = '[masked]';

export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Whether somebody shows the secret; how long the answer takes says nothing of it. */
export const isSameSecret = (shown: string, secret: string): boolean =>
  timingSafeEqual(digest(shown), digest(secret));
