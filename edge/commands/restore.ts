import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { checkBackup, type Manifest } from '../backup/backup.ts';
import { isEmptyFolder, isHalfRestored, restoreBackup } from '../backup/restore.ts';
import { ChainPlace } from '../chain/place.ts';
import type { Config } from '../config.ts';
import { EdgeError } from '../errors.ts';
import { readPassphrase } from '../identity.ts';
import { Keystore } from '../keystore.ts';
import { SCHEMA_VERSION } from '../store/schema.ts';
import { inspectSnapshot } from '../store/snapshot.ts';
import { Store } from '../store/store.ts';
import type { Command } from './index.ts';
import { LOCAL_OPTIONS, LOCAL_USAGE, localConfig } from './local.ts';

const CHAIN_MS = 5_000;

export const command: Command = {
  usage: `restore FILE [--dry-run] [--force] [--same-log] [--config FILE | --data DIR]

  FILE        a backup (sejong-edge backup); it is checked whole before anything is changed
  --dry-run   only say what is in it, what is there, and what would happen
  --force     also where there is data already: that is moved into a folder before-... beside it, and never deleted
  --same-log  nothing ran since the backup was made (the box was stopped, and is replaced by this one): the log goes on.
              Without it the next start ends the log of the backup and begins the next epoch of it, because more may have
              been signed since: two histories under one name would look like fraud
${LOCAL_USAGE}

The gateway must not be running. A restore that was cut off goes on when it is started again; no gateway starts before.`,
  run: async (args) => {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...LOCAL_OPTIONS,
        'dry-run': { type: 'boolean', default: false },
        force: { type: 'boolean', default: false },
        'same-log': { type: 'boolean', default: false },
      },
    });
    const [file] = positionals;
    if (file === undefined || positionals.length > 1) throw new EdgeError('USAGE', 'restore needs one FILE');
    const config = localConfig(values);
    const { dataFolder } = config;
    const sameLog = values['same-log'];

    const manifest = await checkBackup(resolve(file));
    if (manifest.format > SCHEMA_VERSION)
      throw new EdgeError(
        'DATA_FORMAT',
        `${file} has data format ${manifest.format}, of a later version of this program (${manifest.version}), which knows ${SCHEMA_VERSION}`,
      );
    describe(file, manifest);
    const there = !isEmptyFolder(dataFolder);
    if (existsSync(dataFolder)) console.log(`place     ${dataFolder}, ${there ? 'which has data' : 'which is empty'}`);
    else console.log(`place     ${dataFolder}, which is made`);
    const lock = there ? Store.lock(join(dataFolder, 'edge.db')) : undefined; // no gateway runs on it
    try {
      if (there) sayWhatIsThere(dataFolder, manifest);
      await sayChain(config, manifest);
      sayWhatComes(manifest, sameLog);
      if (values['dry-run']) {
        console.log('dry run   nothing was changed');
        return 0;
      }
      if (there && !values.force && !isHalfRestored(dataFolder))
        throw new EdgeError('RESTORE_REFUSED', `${dataFolder} has data`);
      mkdirSync(dataFolder, { recursive: true, mode: 0o700 });
      const { aside } = await restoreBackup({ file: resolve(file), dataFolder, sameLog, nowMs: Date.now() });
      console.log(`restored  ${dataFolder}`);
      if (aside) console.log(`aside     ${join(dataFolder, aside)} has what was there`);
    } finally {
      lock?.release();
    }
    if (!lock) rmSync(join(dataFolder, 'edge.db.lock'), { force: true });
    sayKeys(config);
    return 0;
  },
};

function describe(file: string, m: Manifest): void {
  const hours = (Date.now() - m.madeMs) / 3_600_000;
  console.log(`backup    ${file}, of ${new Date(m.madeMs).toISOString()}, ${hours.toFixed(1)} hours old; whole`);
  console.log(`log       ${m.origin}, ${m.entries} entries, a checkpoint of ${m.checkpoint?.size ?? 0}`);
  console.log(`gateway   ${m.did}`);
  if (m.format < SCHEMA_VERSION)
    console.log(`upgrade   data format ${m.format}: the next start brings it to ${SCHEMA_VERSION}`);
  const configs = m.files.flatMap(({ name }) => (name.startsWith('config/') ? name : []));
  for (const name of configs)
    console.log(`config    ${name} is in it, and is not put anywhere: tar xf ${file} ${name}`);
}

function sayWhatIsThere(dataFolder: string, m: Manifest): void {
  const path = join(dataFolder, 'edge.db');
  if (!existsSync(path)) return;
  try {
    const now = inspectSnapshot(path);
    const more = now.entries - m.entries;
    const same = now.origin === m.origin && now.did === m.did;
    console.log(
      `there     ${now.origin}, ${now.entries} entries${same ? (more > 0 ? `: ${more} more than the backup, which only it has` : '') : ': ANOTHER log or gateway'}`,
    );
  } catch (error) {
    console.log(`there     a database that cannot be read (${(error as EdgeError).detail})`);
  }
}

/** Only a chain that others keep knows more than the backup: the embedded one is in it. */
async function sayChain(config: Config, m: Manifest): Promise<void> {
  if (config.chain.mode !== 'rpc') return;
  const place = new ChainPlace({
    ...config.chain,
    folder: join(config.dataFolder, 'chain'),
    secretKey: new Uint8Array(32).fill(1), // nothing is signed
    report: () => undefined,
  });
  const head = await place.head(m.origin, CHAIN_MS);
  if (!head) console.log('chain     does not answer, so nobody says how far the log went since');
  else
    console.log(
      head.size > m.entries
        ? `chain     LOG_BEHIND_CHAIN: it holds ${head.size} entries of this log, ${head.size - m.entries} more than the backup has`
        : `chain     holds ${head.size} entries of this log, no more than the backup has`,
    );
}

function sayWhatComes(m: Manifest, sameLog: boolean): void {
  if (sameLog) {
    console.log(
      'then      the log goes on (--same-log). If anything was signed since the backup, there are two histories',
    );
    console.log('          of it under one name: a chain or a witness that knows more stops it (LOG_BEHIND_CHAIN)');
  } else if (m.checkpoint) {
    console.log(
      `then      the next start ends this log at ${m.checkpoint.size} entries and begins its next epoch, under a name`,
    );
    console.log(
      '          that says so. Devices, their counters, keys, tokens and quarantine are taken over; entries and',
    );
    console.log(
      '          receipts until then stay provable (sejong-edge salvage). What came since the backup is lost here,',
    );
    console.log('          but for what devices still have and send again, and bundles that were exported');
  } else console.log('then      nothing was signed yet: the log begins');
}

/** Whether the keys open with what there is. */
function sayKeys(config: Config): void {
  try {
    Keystore.open(join(config.dataFolder, 'keys'), readPassphrase(config)).load('gateway');
    console.log('keys      open with the passphrase that is there');
  } catch (error) {
    console.log(`keys      ${(error as Error).message}`);
    console.log(
      '          Bring the passphrase: keys.passphraseFile, SEJONG_EDGE_PASSPHRASE, or keys/passphrase (mode 0600)',
    );
  }
}
