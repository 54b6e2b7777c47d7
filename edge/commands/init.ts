import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { toHex } from 'viem';
import { privateKeyToAddress } from 'viem/accounts';
import { exampleConfig } from '../config/example.ts';
import { makeConfig } from '../config.ts';
import { loadConfig } from '../config-file.ts';
import { EdgeError } from '../errors.ts';
import { openIdentity } from '../identity.ts';
import { encodeVerifierKey } from '../log/checkpoint.ts';
import { publicKeyOf } from '../wire/ed25519.ts';
import { witnessName } from '../witnessing.ts';
import type { Command } from './index.ts';

export const command: Command = {
  usage: `init [--config FILE] [--origin NAME] [--data DIR] [--config-only]

  --config FILE   where to write it (default: sejong-edge.yaml); an existing file is kept as it is
  --origin NAME   the name of the log, for ever (default: sejong.example/edge-1)
  --data DIR      the data folder (default: data, beside the config)
  --config-only   make no keys: the first start of the gateway does. For images that are cloned

Prints the gateway's DID, the verifier keys of its log and of it as a witness, and the address of the account that anchors.`,
  run: async (args) => {
    const { values } = parseArgs({
      args,
      options: {
        config: { type: 'string', default: 'sejong-edge.yaml' },
        origin: { type: 'string' },
        data: { type: 'string' },
        'config-only': { type: 'boolean', default: false },
      },
    });
    const path = resolve(values.config);
    if (existsSync(path)) {
      if (values.origin !== undefined && loadConfig(path).log.origin !== values.origin)
        throw new EdgeError('CONFIG_INVALID', `${path} exists with another log.origin`);
      if (values.data !== undefined && loadConfig(path).dataFolder !== resolve(values.data))
        throw new EdgeError('CONFIG_INVALID', `${path} exists with another dataFolder`);
      console.log(`kept      ${path}`);
    } else {
      const defaults = makeConfig();
      const origin = values.origin ?? defaults.log.origin;
      makeConfig({ log: { origin } });
      try {
        mkdirSync(dirname(path), { recursive: true });
        const chosen = { ...(values.data === undefined ? {} : { dataFolder: resolve(values.data) }), log: { origin } };
        writeFileSync(path, exampleConfig(chosen, SCHEMA), { flag: 'wx', mode: 0o640 });
      } catch (error) {
        throw new EdgeError('CONFIG_INVALID', `cannot write ${path}: ${(error as Error).message}`);
      }
      console.log(`wrote     ${path}`);
    }
    const config = loadConfig(path);
    if (values['config-only']) return 0;
    const identity = openIdentity(config);
    console.log(
      `keys      ${join(config.dataFolder, 'keys')} (encrypted; ${passphraseHint(config.keys.passphraseFile)})`,
    );
    console.log(`gateway   ${identity.did}`);
    console.log(`log key   ${encodeVerifierKey(config.log.origin, publicKeyOf(identity.logKey))}`);
    console.log(`witness   ${encodeVerifierKey(witnessName(config), publicKeyOf(identity.witnessKey), 'witness')}`);
    console.log(`anchors   ${privateKeyToAddress(toHex(identity.anchorKey))}`);
    console.log(`next      sejong-edge run --config ${dirname(path) === process.cwd() ? values.config : path}`);
    return 0;
  },
};

/** Of this installation, for editors; sejong-edge config schema prints it. */
const SCHEMA = fileURLToPath(new URL('../schemas/config.json', import.meta.url));

const passphraseHint = (file: string): string =>
  file !== ''
    ? `passphrase in ${file}`
    : process.env.SEJONG_EDGE_PASSPHRASE
      ? 'passphrase from SEJONG_EDGE_PASSPHRASE'
      : 'passphrase in a file beside them: move it elsewhere and set keys.passphraseFile';
