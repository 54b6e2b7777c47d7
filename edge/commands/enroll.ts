import { parseArgs } from 'node:util';
import { EdgeError } from '../errors.ts';
import { enrollCsv } from './enroll-csv.ts';
import type { Command } from './index.ts';
import { REMOTE_OPTIONS, REMOTE_USAGE, remote } from './remote.ts';

export const command: Command = {
  usage: `enroll --kind KIND --sub URN [--did DID] [options]
       sejong-edge enroll --csv FILE [--dry-run] [--report FILE] [options]

  --kind KIND     meter, plant, storage, inverter, vehicle, sensor
  --sub URN       what it measures, for example urn:sejong:mp:000123
  --did DID       the device's did:key, Ed25519 (z6Mk...) or P-256 (zDn...): it holds its key and signs. Without it
                  the gateway makes a key and signs for the device, and a secret for its login is printed, this once
  --label TEXT    for people
  --owner TEXT    whose it is
  --capacity W    rated power of a plant
  --source TEXT   energy source of a plant, for example solar
  --modulus WH    where its register begins anew; without it, one that falls is no reading
  --json          print the answer as JSON
  --csv FILE      many devices: a header with kind, sub and any of did, label, owner, capacityW, energySource,
                  registerModulusWh, and a line for each. All lines are checked before the first is enrolled; who is enrolled already is kept, so the
                  same file may be given again
  --dry-run       with --csv: say what would be done, and do nothing
  --report FILE   with --csv: a new file, mode 0600, with what came of each line. Secrets go there and nowhere else
${REMOTE_USAGE}`,
  run: async (args, stop) => {
    const text = { type: 'string' } as const;
    const { values } = parseArgs({
      args,
      options: {
        ...REMOTE_OPTIONS,
        kind: text,
        sub: text,
        did: text,
        label: text,
        owner: text,
        capacity: text,
        source: text,
        modulus: text,
        json: { type: 'boolean' },
        csv: text,
        'dry-run': { type: 'boolean' },
        report: text,
      },
    });
    const { kind, sub, did, csv: file, report } = values;
    if (file !== undefined) {
      const { ask } = await remote(values, 'enroll --csv');
      return await enrollCsv(ask, { file, dryRun: values['dry-run'] === true, report }, stop);
    }
    if (kind === undefined || sub === undefined) throw new EdgeError('USAGE', 'enroll needs --kind and --sub');
    const capacityW = values.capacity === undefined ? undefined : Number(values.capacity);
    if (capacityW !== undefined && !Number.isInteger(capacityW))
      throw new EdgeError('USAGE', '--capacity is whole watts');
    const registerModulusWh = values.modulus === undefined ? undefined : Number(values.modulus);
    if (registerModulusWh !== undefined && !Number.isInteger(registerModulusWh))
      throw new EdgeError('USAGE', '--modulus is whole Wh');
    const { ask } = await remote(values, 'enroll');
    const body = {
      kind,
      sub,
      custody: did === undefined ? 'gateway' : 'device',
      did,
      label: values.label,
      owner: values.owner,
      capacityW,
      energySource: values.source,
      registerModulusWh,
    };
    const result = await ask<{ device: { did: string }; secret?: string }>('/devices', body);
    if (values.json) console.log(JSON.stringify(result));
    else {
      console.log(`did       ${result.device.did}`);
      if (result.secret !== undefined) console.log(`secret    ${result.secret}`);
    }
    return 0;
  },
};
