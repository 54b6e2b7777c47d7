import { closeSync, createReadStream, openSync, readFileSync, readSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { EdgeError } from '../errors.ts';
import { looksLikeBundle } from '../log/bundle.ts';
import { parseVerifierKey } from '../log/checkpoint.ts';
import { parseJsonOpening } from '../log/receipt.ts';
import { type Step, verifyReceipt } from '../verify.ts';
import { verifyBundle } from '../verify-bundle.ts';
import { verifyGap } from '../verify-gap.ts';
import type { Command } from './index.ts';

export const command: Command = {
  usage: `verify FILE --key VKEY [--entry FILE] [--opening FILE] [--witness VKEY ... [--quorum N]]
                     [--rpc URL --anchors ADDRESS]
       sejong-edge verify --gap BEFORE GAP AFTER --key VKEY [--opening FILE ...] [--witness VKEY ...]
                     [--rpc URL --anchors ADDRESS]

  FILE               a receipt in any format (json, tlog-proof, cose, calldata), or a bundle of them (sejong-edge
                     export); - reads a receipt from standard input
  --gap              three receipts: of a gap entry, and of the device's entries before and after the gap; proves that
                     there is no reading between them
  --key VKEY         the log's verifier key (origin+hash+base64, as /log/key gives it), or a file with it
  --entry FILE       the envelope, for a COSE receipt as devices get it, which has none in it
  --opening FILE     what a sealed entry is over (as /entries/INDEX/opening gives it to who may read it); once for each
  --witness VKEY     verifier key of a witness (as its /witness/key gives it), or a file with it; once for each
  --quorum N         how many of them must have cosigned (default: all)
  --rpc URL          any node of the chain
  --anchors ADDRESS  the Anchors contract on it; it is also asked what the calldata of a receipt asks

Says each step on a line of its own; of a bundle each checkpoint, the first failure and the totals. Exit code 0 when all hold, 1 when one fails, naming it.`,
  run: async (args) => {
    const text = { type: 'string' } as const;
    const { values, positionals } = parseArgs({
      args,
      options: {
        key: text,
        entry: text,
        opening: { ...text, multiple: true },
        witness: { ...text, multiple: true },
        quorum: text,
        rpc: text,
        anchors: text,
        gap: { type: 'boolean', default: false },
      },
      allowPositionals: true,
    });
    const { gap } = values;
    const [path] = positionals;
    if (path === undefined || positionals.length !== (gap ? 3 : 1))
      throw new EdgeError('USAGE', gap ? 'verify --gap needs BEFORE, GAP and AFTER' : 'verify needs one FILE');
    if (values.key === undefined) throw new EdgeError('USAGE', 'verify needs --key VKEY');
    if ((values.rpc === undefined) !== (values.anchors === undefined))
      throw new EdgeError('USAGE', '--rpc and --anchors go together');
    if (values.anchors !== undefined && !/^0x[0-9a-fA-F]{40}$/.test(values.anchors))
      throw new EdgeError('USAGE', '--anchors is not an address');
    const keys = values.witness ?? [];
    const quorum = values.quorum === undefined ? keys.length : Number(values.quorum);
    if (values.quorum !== undefined && !(Number.isInteger(quorum) && quorum >= 1 && quorum <= keys.length))
      throw new EdgeError('USAGE', `--quorum is not between 1 and the number of --witness, ${keys.length}`);
    const chain =
      values.rpc !== undefined && values.anchors !== undefined
        ? { rpc: values.rpc, contract: values.anchors }
        : undefined;
    const say = ({ ok, name, detail }: Step): void =>
      console.log(`${ok ? 'ok  ' : 'FAIL'}  ${name.padEnd(21)} ${detail}`);
    const keyOf = (value: string): string => (value.includes('+') ? value : read(value).toString('utf8'));
    const key = keyOf(values.key);
    const witnesses = keys.length > 0 ? { keys: keys.map(keyOf), quorum } : undefined;
    if (!gap && isBundle(path)) {
      const { failed, entries, checkpoints } = await verifyBundle(createReadStream(path), key, chain, say, witnesses);
      console.log(
        failed === undefined
          ? `The bundle holds: ${entries} entries under ${checkpoints} checkpoints.`
          : `The bundle does NOT hold: ${failed}, after ${entries} entries that do.`,
      );
      return failed === undefined ? 0 : 1;
    }
    const entry = values.entry === undefined ? undefined : read(values.entry);
    const openings = (values.opening ?? []).map((file) => parseJsonOpening(read(file).toString('utf8')));
    const receipts = positionals.map(read);
    let failed: string | undefined;
    for (const receipt of receipts)
      failed ??= await verifyReceipt(receipt, key, chain, say, { entry, openings, witnesses });
    if (gap) failed ??= verifyGap(receipts as [Buffer, Buffer, Buffer], parseVerifierKey(key).name, say, openings);
    const what = gap
      ? ['The proof holds.', 'The proof does NOT hold']
      : ['The receipt holds.', 'The receipt does NOT hold'];
    console.log(failed === undefined ? what[0] : `${what[1]}: ${failed}.`);
    return failed === undefined ? 0 : 1;
  },
};

function isBundle(path: string): boolean {
  if (path === '-') return false;
  const start = Buffer.alloc(64);
  try {
    const file = openSync(path, 'r');
    try {
      return looksLikeBundle(start.toString('utf8', 0, readSync(file, start)));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new EdgeError('USAGE', `cannot read ${path}: ${(error as Error).message}`);
  }
}

function read(path: string): Buffer {
  try {
    return readFileSync(path === '-' ? 0 : path);
  } catch (error) {
    throw new EdgeError('USAGE', `cannot read ${path}: ${(error as Error).message}`);
  }
}
