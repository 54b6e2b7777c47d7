import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { AnchorsContract } from '../chain/contract.ts';
import { chainError, rpcClient } from '../chain/rpc.ts';
import { EdgeError } from '../errors.ts';
import { findFraud, readStatements, type Shown, type Statement, showFraud } from '../fraud.ts';
import { parseVerifierKey, type VerifierKey } from '../log/checkpoint.ts';
import { tilePath } from '../log/tile.ts';
import type { TileSource } from '../log/tile-source.ts';
import type { Command } from './index.ts';

const TIMEOUT_MS = 15_000;
const MAX_BYTES = 4 * 1024 * 1024;
/** Not 1 or 2: a file that cannot be read must never look like fraud. */
const FRAUD = 3;

export const command: Command = {
  usage: `fraud STATEMENT... --key VKEY [--log URL] [--rpc URL] [--out FILE]
       fraud --show FILE --key VKEY [--rpc URL]

  STATEMENT     what the log signed, now or once: a checkpoint, a receipt (json, tlog-proof, calldata), the answer of
                /anchors; as a file, a URL, or a folder of files
  --key VKEY    the log's verifier key (origin+hash+base64, as /log/key gives it), or a file with it
  --log URL     the log as it is served (http://.../log): its checkpoint is compared too, and its tiles tell whether
                checkpoints of different sizes are of one tree; without it only those of one size can contradict
  --out FILE    write the proof there; an existing file is never written over
  --show FILE   check a proof, and say what it proves
  --rpc URL     any node of the chain: asks the contract whether the accounts that signed heads are the log's

Exit code 0 when there is no contradiction, 3 when there is one (found, or shown), 1 when that cannot be told (an input
that is not the log's, a log that does not answer), 2 when the command line is not right.`,
  run: async (args) => {
    const text = { type: 'string' } as const;
    const { values, positionals } = parseArgs({
      args,
      options: { key: text, log: text, out: text, show: text, rpc: text },
      allowPositionals: true,
    });
    if (values.key === undefined) throw new EdgeError('USAGE', 'fraud needs --key VKEY');
    const key = parseVerifierKey(values.key.includes('+') ? values.key : read(values.key));
    if (values.show !== undefined) {
      if (positionals.length > 0 || values.log !== undefined || values.out !== undefined)
        throw new EdgeError('USAGE', '--show takes one FILE, --key and --rpc');
      return say(await showFraud(read(values.show), key), key, values.rpc);
    }
    if (positionals.length === 0) throw new EdgeError('USAGE', 'fraud needs a STATEMENT, or --show FILE');
    const log = values.log?.replace(/\/+$/, '');
    const sources = [...positionals.flatMap(filesOf), ...(log === undefined ? [] : [`${log}/checkpoint`])];
    const statements: Statement[] = [];
    for (const source of sources) statements.push(...(await statementsOf(source, key)));
    const tiles: TileSource | undefined =
      log === undefined ? undefined : (level, n, width) => fetchBytes(`${log}/${tilePath(level, n, width)}`);
    const proof = await findFraud(statements, tiles);
    if (!proof) {
      console.log(`No contradiction in ${statements.length} statements of ${key.name}.`);
      return 0;
    }
    const file = `${JSON.stringify(proof, null, 1)}\n`;
    const shown = await showFraud(file, key); // as anybody else would who gets it
    if (values.out !== undefined) write(values.out, file);
    return say(shown, key, values.rpc);
  },
};

async function say({ lines, signers }: Shown, key: VerifierKey, rpc: string | undefined): Promise<number> {
  if (signers && rpc !== undefined) {
    const client = rpcClient(rpc, TIMEOUT_MS);
    const anchors = new AnchorsContract(client, signers.contract);
    try {
      for (const account of signers.accounts)
        if ((await client.getChainId()) !== signers.chainId || !(await anchors.wasSender(key.name, account)))
          throw new EdgeError('FRAUD_INVALID', `${account} never was a sender of ${key.name} at ${signers.contract}`);
      lines.push(`chain    ${(await anchors.isFrozen(key.name)) ? 'the log is frozen' : 'the log is not frozen yet'}`);
    } catch (error) {
      throw chainError(error, client);
    }
  } else if (signers) lines.push("chain    not asked whether these accounts are the log's (--rpc)");
  console.log(`FRAUD    ${lines.join('\n')}`);
  return FRAUD;
}

const isUrl = (text: string): boolean => /^https?:\/\//.test(text);

function filesOf(path: string): string[] {
  if (isUrl(path) || !statSync(path, { throwIfNoEntry: false })?.isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .map((name) => join(path, name));
}

async function statementsOf(source: string, key: VerifierKey): Promise<Statement[]> {
  const text = isUrl(source) ? Buffer.from(await fetchBytes(source)).toString('utf8') : read(source);
  try {
    return readStatements(text, key);
  } catch (error) {
    if (error instanceof EdgeError) throw new EdgeError(error.code, `${source}: ${error.detail}`, { cause: error });
    throw error;
  }
}

async function fetchBytes(url: string): Promise<Uint8Array> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!answer.ok) throw new Error(`HTTP status ${answer.status}`);
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of answer.body ?? []) {
      length += part.length;
      if (length > MAX_BYTES) throw new Error(`more than ${MAX_BYTES} bytes`);
      parts.push(part);
    }
    return new Uint8Array(Buffer.concat(parts));
  } catch (error) {
    const { cause, message } = error as Error;
    throw new EdgeError('LOG_UNREADABLE', `${url} (${cause instanceof Error ? cause.message : message})`);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new EdgeError('USAGE', `cannot read ${path}: ${(error as Error).message}`);
  }
}

function write(path: string, text: string): void {
  try {
    writeFileSync(path, text, { flag: 'wx' });
  } catch (error) {
    throw new EdgeError('USAGE', `cannot write ${path}: ${(error as Error).message}`);
  }
}
