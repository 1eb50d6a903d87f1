/**
 * What a statement and its values may be, for every adapter alike: one statement, parameters $1 to
 * $n without a gap, as many values as parameters, each of a type that both databases store alike.
 * Source of truth: the port (sql.ts). Floor 2.
 */
import type { SqlValue } from './sql.ts';

/** Literals, quoted names and comments are passed over; a parameter or a ';' is what is sought. */
const TOKENS = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$(\d+)|;/g;

/**
 * How many parameters a statement has.
 * @throws Error where it holds two statements, or leaves out a parameter's number.
 */
export function countParameters(sql: string): number {
  const numbers = new Set<number>();
  let separated = false;
  let end = 0;
  for (const token of sql.matchAll(TOKENS)) {
    if (separated && hasText(sql.slice(end, token.index), token[0])) throw twoStatements(sql);
    end = token.index + token[0].length;
    if (token[0] === ';') separated = true;
    if (token[1] !== undefined) numbers.add(Number(token[1]));
  }
  if (separated && sql.slice(end).trim() !== '') throw twoStatements(sql);
  for (let number = 1; number <= numbers.size; number += 1) {
    if (!numbers.has(number)) throw new Error(`parameter $${number} is missing in: ${sql}`);
  }
  return numbers.size;
}

function hasText(between: string, token: string): boolean {
  return between.trim() !== '' || !/^(;|--|\/\*)/.test(token);
}

function twoStatements(sql: string): Error {
  return new Error(`more than one statement in: ${sql}`);
}

/**
 * The values of a statement, proven to be storable.
 * @throws TypeError naming the parameter.
 */
export function checkValues(sql: string, count: number, values: readonly SqlValue[]): void {
  if (values.length !== count) {
    throw new TypeError(`${values.length} values for ${count} parameters in: ${sql}`);
  }
  for (const [index, value] of values.entries()) {
    const fault = findValueFault(value);
    if (fault !== undefined) throw new TypeError(`$${index + 1} is ${fault} in: ${sql}`);
  }
}

function findValueFault(value: unknown): string | undefined {
  if (value === null || value instanceof Uint8Array) return undefined;
  if (typeof value === 'string') {
    // PostgreSQL's text has no NUL, and UTF-8 no lone surrogate.
    if (value.includes('\0')) return 'a text with a NUL';
    return value.isWellFormed() ? undefined : 'a text that is not well-formed Unicode';
  }
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) ? undefined : `${value}, which is not a safe integer`;
  }
  if (typeof value === 'boolean') return 'a boolean, which is written 0 or 1';
  return value === undefined ? 'undefined, which is written null' : `of type ${typeof value}`;
}

/** Whether a statement changes rows; what a driver counts for any other has no meaning. */
export function changesRows(sql: string): boolean {
  return /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(?:insert|update|delete|with)\b/i.test(sql);
}
