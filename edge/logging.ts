/**
 * Structured logs: lines of JSON on standard output, by pino, with a logger of its own for each part and a level for each.
 * What a part says begins with its name ("mqtt: ..."); an error of the table begins with its code then. Both become
 * members of the line, so that they can be asked for.
 */
import { type DestinationStream, type Logger, pino } from 'pino';
import { type Config, PARTS } from './config.ts';
import { ERRORS } from './errors.ts';

export type Part = (typeof PARTS)[number];
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** What names itself otherwise. */
const ALIASES: Record<string, Part> = { anchor: 'chain', credit: 'credits', tls: 'mqtt', closing: 'gateway' };

export class Logs {
  readonly #root: Logger;
  readonly #parts = new Map<Part, Logger>();

  /** @param to where lines go, for tests; standard output, at once, if left out: a crash must lose none */
  constructor(logging?: Config['logging'], to: DestinationStream = pino.destination({ dest: 1, sync: true })) {
    this.#root = pino(
      {
        base: null,
        timestamp: pino.stdTimeFunctions.isoTime,
        // Levels are of the parts alone.
        level: 'trace',
        // The last line of defence: nothing that has such a name is ever meant to be said.
        redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`]), censor: '[hidden]' },
      },
      to,
    );
    for (const part of PARTS) this.#parts.set(part, this.#root.child({ part }));
    this.setLevels(logging);
  }

  setLevels(logging?: Config['logging']): void {
    const { level = 'info', parts = {} } = logging ?? {};
    for (const [part, logger] of this.#parts) logger.level = parts[part] ?? level;
  }

  of(part: Part): Logger {
    return this.#parts.get(part) as Logger;
  }

  /** A line as the gateway reports it. */
  report = (line: string, level: LogLevel = 'info'): void => {
    const { part, code } = split(line);
    const logger = this.of(part);
    if (logger.isLevelEnabled(level)) logger[level](code === undefined ? {} : { code }, hideSecrets(line));
  };
}

/** "mqtt.tls: ..." and "serial /dev/x: ..." are said by mqtt and by serial. The message keeps its whole text. */
function split(line: string): { part: Part; code: string | undefined } {
  const m = /^([a-z]+)(?:[. ][^\s:]+)?: (?:([A-Z][A-Z0-9_]+): )?/.exec(line);
  const named = m?.[1] ?? '';
  const part = (PARTS as readonly string[]).includes(named) ? (named as Part) : (ALIASES[named] ?? 'gateway');
  const code = m ? m[2] : /^([A-Z][A-Z0-9_]+): /.exec(line)?.[1];
  return { part, code: code !== undefined && Object.hasOwn(ERRORS, code) ? code : undefined };
}

const SECRET_KEYS = [
  ...['password', 'passphrase', 'secret', 'token', 'authorization', 'privateKey', 'secretKey', 'apiKey'],
];

/** Tokens, and what stands before the @ of a URL. */
export const hideSecrets = (line: string): string =>
  line
    .replace(/\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+/g, '[token]')
    .replace(/\b(Bearer )\S+/gi, '$1[token]')
    .replace(/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi, '$1[hidden]@');
