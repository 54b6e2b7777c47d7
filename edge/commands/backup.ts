import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeBackup } from '../backup/backup.ts';
import { EdgeError } from '../errors.ts';
import type { Command } from './index.ts';
import { LOCAL_OPTIONS, LOCAL_USAGE, localConfig } from './local.ts';

export const command: Command = {
  usage: `backup FILE [--with-secrets] [--force] [--config FILE | --data DIR]

  FILE               where to write it: an archive that tar reads, of mode 0600. Twice the room of the database is needed
                     there for a moment
  --with-secrets     put in keys/passphrase, and Node-RED's password and the secret of its credentials, too. Whoever has
                     the file has the gateway's keys then
  --force            replace FILE
${LOCAL_USAGE}

The gateway may run. The database is of one moment; keys are in it as they lie there, encrypted. All of it is read again
after it is written: the hash of each file, the database's own check, and the tree under its newest checkpoint. Not in it:
databases that were set aside, and copies from before an upgrade. Sealed readings can be opened from it as from the box
itself, and what is forgotten here later is still in it: keep it as safe as the box, and no longer than you may.`,
  run: async (args) => {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...LOCAL_OPTIONS,
        'with-secrets': { type: 'boolean', default: false },
        force: { type: 'boolean', default: false },
      },
    });
    const [out] = positionals;
    if (out === undefined || positionals.length > 1) throw new EdgeError('USAGE', 'backup needs one FILE');
    const config = localConfig(values);
    const configFile = values.config ?? (values.data === undefined ? process.env.SEJONG_EDGE_CONFIG : undefined);
    const started = performance.now();
    const { manifest, bytes, leftOut } = await makeBackup({
      dataFolder: config.dataFolder,
      configFile: configFile ? resolve(configFile) : undefined,
      out: resolve(out),
      withSecrets: values['with-secrets'],
      force: values.force,
    });
    const { origin, did, entries, checkpoint, files, secrets } = manifest;
    console.log(
      `wrote     ${out}, ${bytes} bytes, ${files.length} files, in ${((performance.now() - started) / 1000).toFixed(1)} s`,
    );
    console.log(`log       ${origin}, ${entries} entries, a checkpoint of ${checkpoint?.size ?? 0}`);
    console.log(`gateway   ${did}`);
    console.log('verified  each hash, the database, and the tree under the checkpoint');
    console.log(
      secrets
        ? 'secret    the passphrase is in it: whoever has the file has the keys'
        : 'secret    the passphrase of the keys is NOT in it: without it the keys in this file are worth nothing. Keep it elsewhere.',
    );
    for (const name of leftOut) console.log(`left out  ${name}`);
    return 0;
  },
};
