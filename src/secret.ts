/**
 * A secret text that shows itself as "[masked]" wherever it is printed, logged or put into JSON by
 * mistake: only `reveal` gives it. Floor 0.
 */
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
