import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeConfig } from '../config.ts';
import { loadConfig } from '../config-file.ts';
import { examine, examineProgram } from '../doctor/doctor.ts';
import { bad, type Finding, ok, worst } from '../doctor/finding.ts';
import { EdgeError } from '../errors.ts';
import type { Command } from './index.ts';
import { localConfig } from './local.ts';

const DEFAULT_FILE = 'sejong-edge.yaml';
const SIGNS = { ok: ' ok ', warn: 'WARN', bad: 'BAD ' } as const;

export const command: Command = {
  usage: `doctor [--config FILE | --data DIR] [--ntp HOST[:PORT]] [--json]

  --config FILE   the gateway's config (default: SEJONG_EDGE_CONFIG, or sejong-edge.yaml where it is there)
  --data DIR      or its data folder, as npm start uses one
  --ntp HOST      ask this time server how far off the clock is
  --json          for programs: [{name, state: ok|warn|bad, detail, todo?}]

Looks at Node and memory, the clock, the disk (room, kind, wear) and how long an fsync in the data folder takes, who may
read keys, ports, serial devices, chain, contract and gas, the database, the city's bundle, certificates, the last good
config, and the gateway itself where it runs. It changes nothing, but for a file that it writes and removes to time fsync.
As root it sees who holds a port; as the user of the gateway, what that user may.

Exit codes: 0 all is well, 1 there are warnings, 2 something is bad.`,
  run: async (args) => {
    const { values } = parseArgs({
      args,
      options: {
        config: { type: 'string' },
        data: { type: 'string' },
        ntp: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    });
    const given = values.config ?? process.env.SEJONG_EDGE_CONFIG;
    const file = values.data === undefined ? resolve(given || DEFAULT_FILE) : undefined;
    let findings: Finding[];
    if (file !== undefined && !existsSync(file) && given === undefined) {
      findings = await examine({
        config: makeConfig({ dataFolder: resolve('./data') }),
        configFile: undefined,
        timeServer: values.ntp,
      });
    } else
      try {
        const config = file === undefined ? localConfig({ data: values.data }) : loadConfig(file);
        findings = [
          ...(file === undefined ? [] : [ok('config', `${file} is valid`)]),
          ...(await examine({ config, configFile: file, timeServer: values.ntp })),
        ];
      } catch (error) {
        if (!(error instanceof EdgeError) || error.code !== 'CONFIG_INVALID') throw error;
        findings = [
          bad(
            'config',
            error.detail,
            'Put it right (sejong-edge config check), or go back: sejong-edge config rollback.',
          ),
          ...examineProgram(),
        ];
      }
    if (values.json) console.log(JSON.stringify(findings, null, 2));
    else
      for (const { name, state, detail, todo } of findings) {
        console.log(`${SIGNS[state]}  ${name.padEnd(17)} ${detail}`);
        if (todo !== undefined) console.log(`      ${''.padEnd(17)} -> ${todo}`);
      }
    return { ok: 0, warn: 1, bad: 2 }[worst(findings)];
  },
};
