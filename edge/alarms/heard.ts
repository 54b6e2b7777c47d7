/** Warnings that were said, held until the next look: whoever says one is not to be held up. */
import { ERRORS, type ErrorCode } from '../errors.ts';

/** The same code and place is one; of others no more than this between two looks. */
const MAX_HELD = 500;

export type Said = { code: ErrorCode; part: string; place: string; detail: string; times: number; at: number };

/**
 * A code stands at the beginning, behind one or two names of who says it. What stands further behind may come from
 * outside and raises nothing.
 */
const CODED = /^(?:([\w .:-]{1,200}): )?([A-Z][A-Z0-9_]{3,40}): (.*)$/s;

export const isCode = (text: string): text is ErrorCode => Object.hasOwn(ERRORS, text);

/** Undefined where it has no code. */
export function parseLine(line: string): Omit<Said, 'times' | 'at'> | undefined {
  const m = CODED.exec(line);
  const code = m?.[2] as string;
  if (!m || !isCode(code)) return undefined;
  const place = m[1] ?? 'gateway';
  // Title and todo are those of the table.
  const { title, todo } = ERRORS[code];
  const rest = m[3] as string;
  const detail = (rest.startsWith(`${title}: `) ? rest.slice(title.length + 2) : rest).replace(`. ${todo}`, '').trim();
  return { code, part: place.split(/[: ]/)[0] as string, place, detail };
}

export class Heard {
  #held = new Map<string, Said>();

  hear(line: string): void {
    const said = parseLine(line);
    if (!said) return;
    const key = `${said.code} ${said.place}`;
    const before = this.#held.get(key);
    if (before) before.times++;
    else if (this.#held.size < MAX_HELD) this.#held.set(key, { ...said, times: 1, at: performance.now() });
  }

  /** Those that were said before that time, and gone from here. */
  take(before: number): Said[] {
    const said = [...this.#held.values()].filter(({ at }) => at <= before);
    for (const { code, place } of said) this.#held.delete(`${code} ${place}`);
    return said;
  }
}
