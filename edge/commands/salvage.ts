import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { EdgeError } from '../errors.ts';
import { encodeJsonReceipt } from '../log/receipt.ts';
import { openSalvaged } from '../log/salvage.ts';
import type { Command } from './index.ts';

export const command: Command = {
  usage: `salvage FILE [--index N] [--out FILE]

  FILE        a database that was set aside (edge.db.damaged-..., edge.db.behind-...), or a copy of one; it is read only,
              and no gateway is needed
  --index N   the receipt of entry N, as one JSON object, which sejong-edge verify takes; without it the receipts of all
              entries that can be proven, one JSON object a line
  --out FILE  where to write it, a new file (default: standard output)

Receipts are under the newest checkpoint that is on the chain, or else under the newest whose tree can still be
computed. Those of sealed readings have what they are over in them: give them to nobody but those who may read it. What
can be proven, what cannot, and the verifier key that verify needs, are said on standard error.`,
  run: async (args) => {
    const text = { type: 'string' } as const;
    const { values, positionals } = parseArgs({ args, options: { index: text, out: text }, allowPositionals: true });
    const [path] = positionals;
    if (path === undefined || positionals.length > 1) throw new EdgeError('USAGE', 'salvage needs one FILE');
    if (values.index !== undefined && !/^\d{1,15}$/.test(values.index))
      throw new EdgeError('USAGE', `--index ${values.index}: an index in the log`);
    const { out } = values;
    if (out !== undefined && existsSync(out)) throw new EdgeError('USAGE', `--out ${out} is there already`);
    const { log, close } = openSalvaged(path);
    try {
      const { provable, anchored, latest, origin, verifierKey } = log;
      console.error(`log       ${origin}`);
      console.error(`key       ${verifierKey}`);
      console.error(
        `proven    ${provable?.size ?? 0} entries, ${anchored?.size ?? 0} of them on the chain; ${latest?.size ?? 0} were signed`,
      );
      if (out !== undefined) writeFileSync(out, '', { flag: 'wx' });
      const put = (index: number, indent?: number): void => {
        const json = `${JSON.stringify(encodeJsonReceipt(log.receipt(index)), null, indent)}\n`;
        if (out === undefined) process.stdout.write(json);
        else appendFileSync(out, json);
      };
      if (values.index !== undefined) {
        put(Number(values.index), 2);
        return 0;
      }
      let written = 0;
      let failed = 0;
      for (let index = 0; index < (provable?.size ?? 0); index++)
        try {
          put(index);
          written++;
        } catch (error) {
          if (!(error instanceof EdgeError) || error.code !== 'NOT_FOUND') throw error;
          if (failed++ < 10) console.error(error.detail);
        }
      console.error(`receipts  ${written}, and ${failed} entries that cannot be read`);
      return failed === 0 && written > 0 ? 0 : 1;
    } finally {
      close();
    }
  },
};
