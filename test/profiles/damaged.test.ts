/** Files of profiles with damage in them are refused in words, or are valid; nothing else comes of them. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { EdgeError } from '../../edge/errors.ts';
import { checkProfileFile } from '../../edge/profiles/load.ts';
import { tempFolder } from '../support/temp.ts';

const FOLDER = 'edge/profiles';
const FILES = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => readFileSync(join(FOLDER, name), 'utf8'));
const BITS = [
  '[',
  '{',
  ':',
  '- ',
  '&a ',
  '*a',
  '!!binary ',
  '\t',
  '\0',
  '1e999',
  '-1',
  'null',
  '.nan',
  '"',
  '__proto__: 1\n',
  '<<: *a\n',
  '\n',
];

it('is never anything but a refusal that names the file', () => {
  const file = join(tempFolder(), 'x.yaml');
  const damage = fc.record({ at: fc.nat(2000), drop: fc.nat(20), put: fc.constantFrom('', ...BITS) });
  let refused = 0;
  fc.assert(
    fc.property(fc.constantFrom(...FILES), fc.array(damage, { minLength: 1, maxLength: 4 }), (text, damages) => {
      let out = text;
      for (const { at, drop, put } of damages)
        out = out.slice(0, at % out.length) + put + out.slice((at % out.length) + drop);
      writeFileSync(file, out);
      try {
        expect(checkProfileFile(file).name).toBe('x');
      } catch (error) {
        expect(error).toBeInstanceOf(EdgeError);
        expect(error).toMatchObject({ code: 'PROFILE_INVALID', detail: expect.stringContaining(file) });
        refused++;
      }
    }),
    { numRuns: 500, seed: 6 },
  );
  expect(refused).toBeGreaterThan(100);
});
