import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { EdgeError } from '../errors.ts';
import { type Step, verifyReceipt } from '../verify.ts';
import type { Command } from './index.ts';

export const command: Command = {
  usage: `verify RECEIPT --key VKEY [--entry FILE] [--rpc URL --anchors ADDRESS]

  RECEIPT            a receipt in any format: json, tlog-proof, cose, calldata; - reads standard input
  --key VKEY         the log's verifier key (origin+hash+base64, as /log/key gives it), or a file with it
  --entry FILE       the envelope, for a COSE receipt as devices get it, which has none in it
  --rpc URL          any node of the chain
  --anchors ADDRESS  the Anchors contract on it; it is also asked what the calldata of a receipt asks

Says each step on a line of its own. Exit code 0 when all hold, 1 when one fails, naming it.`,
  run: async (args) => {
    const text = { type: 'string' } as const;
    const { values, positionals } = parseArgs({
      args,
      options: { key: text, entry: text, rpc: text, anchors: text },
      allowPositionals: true,
    });
    const [path] = positionals;
    if (path === undefined || positionals.length > 1) throw new EdgeError('USAGE', 'verify needs one RECEIPT');
    if (values.key === undefined) throw new EdgeError('USAGE', 'verify needs --key VKEY');
    if ((values.rpc === undefined) !== (values.anchors === undefined))
      throw new EdgeError('USAGE', '--rpc and --anchors go together');
    if (values.anchors !== undefined && !/^0x[0-9a-fA-F]{40}$/.test(values.anchors))
      throw new EdgeError('USAGE', '--anchors is not an address');
    const chain =
      values.rpc !== undefined && values.anchors !== undefined
        ? { rpc: values.rpc, contract: values.anchors }
        : undefined;
    const say = ({ ok, name, detail }: Step): void =>
      console.log(`${ok ? 'ok  ' : 'FAIL'}  ${name.padEnd(21)} ${detail}`);
    const failed = await verifyReceipt(
      read(path),
      values.key.includes('+') ? values.key : read(values.key).toString('utf8'),
      chain,
      say,
      values.entry === undefined ? undefined : read(values.entry),
    );
    console.log(failed === undefined ? 'The receipt holds.' : `The receipt does NOT hold: ${failed}.`);
    return failed === undefined ? 0 : 1;
  },
};

function read(path: string): Buffer {
  try {
    return readFileSync(path === '-' ? 0 : path);
  } catch (error) {
    throw new EdgeError('USAGE', `cannot read ${path}: ${(error as Error).message}`);
  }
}
