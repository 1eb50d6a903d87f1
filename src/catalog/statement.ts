/**
 * What a statement and its values may be, for every adapter alike: one statement, parameters $1 to
 * $n without a gap, as many values as parameters, each of a type that both databases store alike.
 * Source of truth: the port (sql.ts). Floor 2.
 */
import type { SqlValue } from './sql.ts';

/** Literals, quoted names and comments are passed over; a parameter or a ';' is what is sought. */
const TOKENS = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$(\d+)|;/g;

/** A statement with `?` for every parameter: the n-th of them is $numbers[n]. */
export interface ReadStatement {
  text: string;
  numbers: readonly number[];
  /** How many different ones there are. */
  count: number;
}

/**
 * A statement and its parameters.
 * @throws Error where it holds two statements, or leaves out a parameter's number.
 */
export function readStatement(sql: string): ReadStatement {
  const numbers: number[] = [];
  let text = '';
  let separated = false;
  let end = 0;
  for (const token of sql.matchAll(TOKENS)) {
    const between = sql.slice(end, token.index);
    if (separated && hasText(between, token[0])) throw twoStatements(sql);
    end = token.index + token[0].length;
    if (token[0] === ';') separated = true;
    if (token[1] !== undefined) numbers.push(Number(token[1]));
    text += between + (token[1] === undefined ? token[0] : '?');
  }
  if (separated && sql.slice(end).trim() !== '') throw twoStatements(sql);
  const count = new Set(numbers).size;
  for (let number = 1; number <= count; number += 1) {
    if (!numbers.includes(number)) throw new Error(`parameter $${number} is missing in: ${sql}`);
  }
  return { text: text + sql.slice(end), numbers, count };
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
