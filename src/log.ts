/**
 * One JSON line per event on standard error, through pino. Never a secret: what may not be seen
 * is not passed in, and the paths below are masked should it happen all the same. Floor 0.
 */
import { type Logger as PinoLogger, pino } from 'pino';

export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error'>;
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/**
 * A logger writing synchronously to standard error, so that the last line before a crash is kept.
 * @param always stands in every line.
 */
export function createLogger(level: LogLevel, always: Record<string, number> = {}): Logger {
  return pino(
    {
      level,
      base: always,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ['key', 'passphrase', '*.key', '*.passphrase'], censor: '[masked]' },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
