/** A program of its own that has a store open: says `open`, or the code of the error, and lives until it is killed. */
import { Store, setMeta } from '../../edge/store/store.ts';

const [path, then] = process.argv.slice(2) as [string, 'write' | undefined];
const say = (line: string) => process.stdout.write(`${line}\n`);
try {
  const store = await Store.open(path);
  say('open');
  if (then === 'write')
    for (let i = 0; ; i++) {
      await store.write({ statements: [setMeta(`n${i}`, 'v')] });
      say(String(i)); // only once it is answered
    }
  setInterval(() => store, 60_000);
} catch (error) {
  say((error as { code: string }).code);
  process.exit();
}
