import { parseArgs } from 'node:util';
import { EdgeError, ERRORS, type ErrorCode } from '../errors.ts';
import type { Command } from './index.ts';
import { LOCAL_OPTIONS, LOCAL_USAGE, localConfig, localToken, runInfo } from './local.ts';

export const command: Command = {
  usage: `enroll --kind KIND --sub URN [--did DID] [options]

  --kind KIND     meter, plant, inverter, vehicle, sensor
  --sub URN       what it measures, for example urn:sejong:mp:000123
  --did DID       the device's did:key, Ed25519 (z6Mk...) or P-256 (zDn...): it holds its key and signs. Without it
                  the gateway makes a key and signs for the device, and a secret for its login is printed, this once
  --label TEXT    for people
  --owner TEXT    whose it is
  --capacity W    rated power of a plant
  --source TEXT   energy source of a plant, for example solar
  --url URL       the gateway's API (default: the running one of the data folder)
  --token TOKEN   or SEJONG_TOKEN: an operator's token (default: made from the keys of the data folder)
  --json          print the answer as JSON
${LOCAL_USAGE}`,
  run: async (args) => {
    const text = { type: 'string' } as const;
    const { values } = parseArgs({
      args,
      options: {
        ...LOCAL_OPTIONS,
        kind: text,
        sub: text,
        did: text,
        label: text,
        owner: text,
        capacity: text,
        source: text,
        url: text,
        token: text,
        json: { type: 'boolean' },
      },
    });
    const { kind, sub, did } = values;
    if (kind === undefined || sub === undefined) throw new EdgeError('USAGE', 'enroll needs --kind and --sub');
    const capacityW = values.capacity === undefined ? undefined : Number(values.capacity);
    if (capacityW !== undefined && !Number.isInteger(capacityW))
      throw new EdgeError('USAGE', '--capacity is whole watts');
    const config = localConfig(values);
    const url = values.url ?? runInfo(config.dataFolder)?.http;
    if (url === undefined)
      throw new EdgeError('USAGE', `no gateway runs on ${config.dataFolder}; start it, or give --url`);
    const token = values.token ?? process.env.SEJONG_TOKEN ?? (await localToken(config, 'enroll', 'operator', 60));
    const body = {
      kind,
      sub,
      custody: did === undefined ? 'gateway' : 'device',
      did,
      label: values.label,
      owner: values.owner,
      capacityW,
      energySource: values.source,
    };
    const answer = await fetch(new URL('/devices', url), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }).catch((error: Error) => {
      throw new EdgeError(
        'USAGE',
        `${url} does not answer (${(error.cause as Error | undefined)?.message ?? error.message})`,
      );
    });
    const result = (await answer.json()) as {
      device: { did: string };
      secret?: string;
      code?: string;
      detail?: string;
    };
    if (!answer.ok)
      throw result.code && Object.hasOwn(ERRORS, result.code)
        ? new EdgeError(result.code as ErrorCode, result.detail ?? '')
        : new EdgeError('INTERNAL', `${url} answered ${answer.status}`);
    if (values.json) console.log(JSON.stringify(result));
    else {
      console.log(`did       ${result.device.did}`);
      if (result.secret !== undefined) console.log(`secret    ${result.secret}`);
    }
    return 0;
  },
};
