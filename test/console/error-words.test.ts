import { describe, expect, it } from 'vitest';
import { errorWords, hasKorean } from '../../edge/console/error-words.ts';
import { ERRORS, type ErrorCode } from '../../edge/errors.ts';

/** What ends the program at its start is told on a terminal alone. */
const shown = (Object.keys(ERRORS) as ErrorCode[]).filter((code) => ERRORS[code].act !== 'fatal');

describe('the words of errors', () => {
  it('are there in Korean for each code that the gateway can answer (edge/console/error-words.ts)', () => {
    expect(shown.filter((code) => !hasKorean(code))).toEqual([]);
    for (const code of shown) {
      const { title, todo } = errorWords(code, 'ko') as { title: string; todo: string };
      expect(title, code).toMatch(/[가-힣]/);
      expect(todo, code).toMatch(/[가-힣]/);
    }
  });

  it('are those of the API in English, and none for what is no code', () => {
    for (const code of shown) expect(errorWords(code, 'en')).toEqual(pick(ERRORS[code]));
    for (const code of ['', 'toString', '__proto__', 'NO_SUCH'])
      for (const lang of ['en', 'ko'] as const) expect(errorWords(code, lang)).toBeUndefined();
  });
});

const pick = ({ title, todo }: { title: string; todo: string }) => ({ title, todo });
