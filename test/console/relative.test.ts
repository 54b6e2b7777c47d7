/** `npm start` has its data in ./data: what is built must lie where it is looked for. */
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect, it } from 'vitest';
import { buildConsole } from '../../edge/console-build.ts';
import { tempFolder } from '../support/temp.ts';

it('a cache folder that is relative to where the gateway was started holds the whole page', async () => {
  const folder = await buildConsole(relative(process.cwd(), tempFolder()));
  for (const name of ['index.html', 'app.js', 'app.css', 'verify.html'])
    expect(existsSync(join(folder, name)), name).toBe(true);
});
