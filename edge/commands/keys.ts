import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Hex } from 'viem';
import { toHex } from 'viem';
import { privateKeyToAddress } from 'viem/accounts';
import { AnchorsContract } from '../chain/contract.ts';
import { rpcClient } from '../chain/rpc.ts';
import type { Config } from '../config.ts';
import { writeDeed } from '../deeds.ts';
import { EdgeError } from '../errors.ts';
import { keysFolder, newPassphrase, readPassphrase, SECRET_NAME, secretName } from '../identity.ts';
import { cleanKeys, rotatePassphrase, settleKeys } from '../key-rotation.ts';
import { Keystore, readPrivate } from '../keystore.ts';
import { encodeVerifierKey } from '../log/checkpoint.ts';
import { Store } from '../store/store.ts';
import { publicKeyOf } from '../wire/ed25519.ts';
import { witnessName } from '../witnessing.ts';
import type { Command } from './index.ts';
import { LOCAL_OPTIONS, LOCAL_USAGE, localConfig } from './local.ts';

const NEXT_ANCHOR = 'anchor-next';
const CHAIN_MS = 10_000;

export const command: Command = {
  usage: `keys rotate --passphrase [--new-passphrase-file FILE] [--config FILE | --data DIR]
       sejong-edge keys rotate --anchor | --witness [--config FILE | --data DIR]
       sejong-edge keys put NAME [--text] [--config FILE | --data DIR] < FILE
       sejong-edge keys list [--config FILE | --data DIR]

  --passphrase    encrypt all keys anew under another passphrase. Where the old one lies beside the keys, a new one is
                  made there; else give it:
  --new-passphrase-file FILE   (mode 0600), or SEJONG_EDGE_NEW_PASSPHRASE
  --anchor        a new key for the account that anchors, in two steps: the first makes it and says its address; when
                  the owner of the contract has registered that for this log, the second takes it into use
  --witness       a new key to cosign other logs with; their operators must be given its verifier key
  put NAME        keep a key or password of a device on a serial line, encrypted as the gateway's own keys are, under the
                  name that its config has in \`secrets\`. It is read from standard input: hex, or with
  --text          the characters of a password, without the line's end
  list            the names of those that are kept
${LOCAL_USAGE}

The gateway must not be running. A power cut at any moment leaves keys that are whole; the same command again goes on.
The log's key is its identity: it is not rotated (see --log). Nor is the gateway's own, which signed what is in the log,
nor a key that the gateway holds for a device, which is that device's DID: replace the device.`,
  run: async (args) => {
    const flag = { type: 'boolean' } as const;
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...LOCAL_OPTIONS,
        passphrase: flag,
        'new-passphrase-file': { type: 'string' },
        anchor: flag,
        witness: flag,
        log: flag,
        gateway: flag,
        text: flag,
      },
    });
    if (positionals[0] === 'put' || positionals[0] === 'list') return await secrets(positionals, values);
    const { passphrase, anchor, witness, log, gateway } = values;
    const asked = [passphrase, anchor, witness, log, gateway].filter((on) => on === true).length;
    if (positionals.join(' ') !== 'rotate' || asked !== 1)
      throw new EdgeError('USAGE', 'keys rotate, and one of --passphrase, --anchor, --witness');
    if (log || gateway) throw new EdgeError('KEY_FIXED', log ? FIXED.log : FIXED.gateway);
    const config = localConfig(values);
    const folder = keysFolder(config);
    settleKeys(folder);
    if (!existsSync(join(folder, 'gateway.key')))
      throw new EdgeError('KEY_UNREADABLE', `there are no keys of a gateway in ${folder}`);
    const lock = Store.lock(join(config.dataFolder, 'edge.db'));
    try {
      if (passphrase) return rotateAll(config, folder, values['new-passphrase-file']);
      return witness ? rotateWitness(config, folder) : await rotateAnchor(config, folder);
    } finally {
      lock.release();
    }
  },
};

/** Keys and passwords of devices, which the gateway needs to read them. */
async function secrets(
  [verb = '', name = '', ...more]: string[],
  values: { text?: boolean | undefined; config?: string | undefined; data?: string | undefined },
): Promise<number> {
  const config = localConfig(values);
  const folder = keysFolder(config);
  settleKeys(folder);
  if (verb === 'list' && name === '') {
    const names = existsSync(folder) ? readdirSync(folder) : [];
    for (const file of names.sort()) {
      const found = /^secret-(.+)\.key$/.exec(file)?.[1];
      if (found !== undefined) console.log(found);
    }
    return 0;
  }
  if (verb !== 'put' || more.length > 0 || !SECRET_NAME.test(name))
    throw new EdgeError('USAGE', 'keys put NAME, the name of lower case letters, digits and -, at most 64');
  // Not as an argument: those are seen by everybody on the machine, and kept in the shell's history.
  if (process.stdin.isTTY) console.error(`the ${values.text ? 'password' : 'key in hex'} of ${name}, then Enter:`);
  const given = await firstLine(process.stdin);
  const secret = values.text ? Buffer.from(given, 'utf8') : Buffer.from(given.replace(/[\s:]/g, ''), 'hex');
  if (!values.text && (!/^(?:[0-9a-f]{2})+$/i.test(given.replace(/[\s:]/g, '')) || secret.length > MAX_SECRET))
    throw new EdgeError('USAGE', `${name}: what was given is not 1 to ${MAX_SECRET} bytes in hex (a password: --text)`);
  if (secret.length === 0 || secret.length > MAX_SECRET)
    throw new EdgeError('USAGE', `${name}: a password has 1 to ${MAX_SECRET} bytes`);
  if (!existsSync(join(folder, 'gateway.key')))
    throw new EdgeError('KEY_UNREADABLE', `there are no keys of a gateway in ${folder}: sejong-edge init first`);
  const lock = Store.lock(join(config.dataFolder, 'edge.db'));
  try {
    Keystore.open(folder, readPassphrase(config)).save(secretName(name), secret);
    writeDeed(config.dataFolder, { action: 'keys.secret', on: name, detail: { bytes: secret.length } });
  } finally {
    secret.fill(0);
    lock.release();
  }
  console.log(`kept      ${name}, ${secret.length} bytes, encrypted in ${folder}`);
  return 0;
}

const MAX_SECRET = 256;

async function firstLine(input: NodeJS.ReadStream): Promise<string> {
  let text = '';
  for await (const chunk of input.setEncoding('utf8')) {
    text += chunk as string;
    if (text.includes('\n') || text.length > 4 * MAX_SECRET) break;
  }
  return text.split(/\r?\n/)[0] as string;
}

const FIXED = {
  log: 'a log (C2SP) is its origin and its key together: under another key everybody must take it for another log, and checkpoints, witnesses and the contract would contradict it. If the key may have leaked: freeze the old origin (sejong-edge fraud), and begin a new log with a new log.origin in an empty data folder; enrol the devices there, and keep the old data folder, whose receipts stay good up to its last anchor',
  gateway:
    "the gateway's DID signed its own entries and is in the log from entry 0 on. If the key may have leaked: revoke its tokens, and begin a new log with a new log.origin in an empty data folder",
};

function rotateAll(config: Config, folder: string, file: string | undefined): number {
  const from = readPassphrase(config);
  const given = file === undefined ? process.env.SEJONG_EDGE_NEW_PASSPHRASE : readPrivate(file);
  const here = existsSync(join(folder, 'passphrase')) && readPrivate(join(folder, 'passphrase')) === from.passphrase;
  if (given === undefined && !here)
    throw new EdgeError(
      'USAGE',
      'the passphrase does not lie beside the keys: give the new one with --new-passphrase-file or SEJONG_EDGE_NEW_PASSPHRASE',
    );
  const to = given === undefined ? newPassphrase() : { passphrase: given, random: false };
  if (given === from.passphrase) throw new EdgeError('USAGE', 'the new passphrase is the old one');
  if (given !== undefined && isUnder(folder, given)) {
    cleanKeys(folder);
    console.log('kept      the keys are under the new passphrase already');
    return 0;
  }
  const n = rotatePassphrase(folder, from, to, given === undefined);
  writeDeed(config.dataFolder, { action: 'keys.passphrase', on: 'keys', detail: { keys: n } });
  console.log(`rotated   ${n} keys in ${folder} are under a new passphrase`);
  if (given !== undefined)
    console.log(
      `next      before the gateway starts: ${file === undefined ? 'put the new passphrase where it looks for it' : `set keys.passphraseFile to ${file}, or put its content where the old one was`}`,
    );
  console.log(
    'note      copies of the old folder can still be read with the old passphrase: destroy them, backups too',
  );
  return 0;
}

function isUnder(folder: string, passphrase: string): boolean {
  try {
    Keystore.open(folder, { passphrase, random: false }).load('gateway');
    return true;
  } catch {
    return false;
  }
}

function rotateWitness(config: Config, folder: string): number {
  const keys = Keystore.open(folder, readPassphrase(config));
  keys.save('witness', crypto.getRandomValues(new Uint8Array(32)));
  const key = encodeVerifierKey(witnessName(config), publicKeyOf(keys.load('witness')), 'witness');
  writeDeed(config.dataFolder, { action: 'keys.witness', on: key, detail: {} });
  console.log(`witness   ${key}`);
  console.log('next      the operators of the logs that it cosigns put this key into log.witnesses');
  return 0;
}

async function rotateAnchor(config: Config, folder: string): Promise<number> {
  if (config.chain.mode !== 'rpc')
    throw new EdgeError(
      'KEY_FIXED',
      `chain.mode is ${config.chain.mode}: the address of an embedded contract follows from this key, and there is nobody from whom it would have to be kept`,
    );
  const keys = Keystore.open(folder, readPassphrase(config));
  const path = join(folder, `${NEXT_ANCHOR}.key`);
  const next = keys.loadOrCreate(NEXT_ANCHOR);
  const address = privateKeyToAddress(toHex(next));
  if (Buffer.from(next).equals(keys.load('anchor'))) {
    rmSync(path); // cut off after it was taken into use
    console.log(`rotated   ${address} anchors`);
    return 0;
  }
  const { origin, open } = anchoring(config);
  const cut = new AbortController();
  const contract = new AnchorsContract(rpcClient(config.chain.rpc, CHAIN_MS, cut.signal), config.chain.anchors as Hex);
  const sender = await contract.senderOf(origin).catch((error: Error) => {
    throw new EdgeError('CHAIN_AWAY', `${new URL(config.chain.rpc).origin}: ${error.message.split('\n')[0]}`);
  });
  if (sender.toLowerCase() !== address.toLowerCase()) {
    console.log(`anchors   ${address}`);
    console.log(`next      1. send it what it needs to pay for gas`);
    console.log(`          2. the owner of ${config.chain.anchors} calls register("${origin}", ${address})`);
    console.log(
      '          3. this command again; until then the old account goes on, and after 2. it may anchor no more',
    );
    return 0;
  }
  if (open > 0)
    throw new EdgeError(
      'STATE_CONFLICT',
      `${open} anchors of the old account are on their way: start the gateway, and wait until GET /anchors shows none of them as signed or sent`,
    );
  keys.save('anchor', next);
  rmSync(path);
  writeDeed(config.dataFolder, { action: 'keys.anchor', on: address, detail: {} });
  console.log(`rotated   ${address} anchors from the next start on`);
  return 0;
}

/** The origin of the log as it is now, and how many anchors are on their way. */
function anchoring(config: Config): { origin: string; open: number } {
  const path = join(config.dataFolder, 'edge.db');
  if (!existsSync(path)) return { origin: config.log.origin, open: 0 };
  const store = Store.read(path);
  const open = store.get<{ n: number }>("SELECT count(*) AS n FROM transactions WHERE status IN ('signed', 'sent')")?.n;
  const origin = store.meta('origin') ?? config.log.origin;
  void store.close();
  return { origin, open: open ?? 0 };
}
