import { parseArgs } from 'node:util';
import { type Config, makeConfig } from '../config.ts';
import { EdgeError } from '../errors.ts';
import { type Gateway, startGateway } from '../gateway.ts';
import { VERSION } from '../version.ts';
import type { DecisionKind } from '../wire/vc/check.ts';
import { DemoFlows } from './demo-flows.ts';
import { DEMO_WIRES, demoPorts, INVERTERS } from './demo-wires.ts';
import { countMissing, District } from './district.ts';
import { CREDIT_PLANTS, Energy } from './energy.ts';
import { EXIT, EXIT_HELP } from './exit.ts';
import { foundCity, Gate } from './gate.ts';
import type { Command } from './index.ts';
import { Narrator } from './narrator.ts';
import { aborted, sleep } from './until.ts';

/** A chain of our own mines at once and costs nothing, so the demo anchors often enough to be watched. */
const ANCHOR_SECONDS = 15;
/** Of --for, what is kept for draining the devices and for the last anchor. */
const END_SECONDS = 3;
/** Every so many of each kind, from the first on, hold a P-256 key: one plant and one vehicle at the least. */
const P256_EVERY = 3;
/** What is certified is sent to the chain at most so often. */
const MINT_SECONDS = 2;

export const command: Command = {
  usage: `demo [options]          (npm start -- [options])

  --data DIR       data folder, kept: a second start continues the same log (default: ./data)
  --mqtt PORT      port of the broker (default: 1883; 0 takes any free one)
  --http PORT      port of the API (default: 8080; 0 takes any free one)
  --seed N         makes the district repeatable (default: 1)
  --for SECONDS    stop after this time, with one JSON object as the last line
  --meters N       (default: 12)      --plants N   (default: 4)
  --vehicles N     (default: 6)       --no-hostile leaves out the devices that cheat
  --every SECONDS  how often a device sends (default: 1)
  --no-gate        no vehicles come to the gate, and no city is founded
  --no-credits     no plants with a day to certify, no certificates, no trade
  --flows PORT     port of Node-RED (default: 1880, or any free one where that is taken)
  --no-flows       no Node-RED

The JSON object of --for says of certificates, over all that the data folder keeps:
  certificates     hours that are minted on the chain and not withdrawn
  mintedWh         Wh of these, and of residuals, as they were credited
  refusedMints     hours that a rule or the contract refuses to mint, each counted once

Everything listens on loopback only. Ctrl-C stops all. It runs under a supervisor, which starts it again should it crash.

${EXIT_HELP}`,
  run: async (args, stop) => {
    const text = { type: 'string' } as const;
    const { values } = parseArgs({
      args,
      options: {
        data: { ...text, default: './data' },
        mqtt: { ...text, default: '1883' },
        http: { ...text, default: '8080' },
        seed: { ...text, default: '1' },
        for: text,
        meters: { ...text, default: '12' },
        plants: { ...text, default: '4' },
        vehicles: { ...text, default: '6' },
        every: { ...text, default: '1' },
        'no-hostile': { type: 'boolean' },
        'no-gate': { type: 'boolean' },
        'no-credits': { type: 'boolean' },
        flows: text,
        'no-flows': { type: 'boolean' },
      },
    });
    const whole = (
      name: 'mqtt' | 'http' | 'flows' | 'seed' | 'meters' | 'plants' | 'vehicles',
      most: number,
    ): number => {
      const n = Number(values[name]);
      if (!Number.isInteger(n) || n < 0 || n > most)
        throw new EdgeError('USAGE', `--${name} ${values[name]}: a whole number from 0 to ${most}`);
      return n;
    };
    const seconds = (name: 'for' | 'every'): number | undefined => {
      if (values[name] === undefined) return undefined;
      const n = Number(values[name]);
      if (!(n > 0 && n <= 1e7)) throw new EdgeError('USAGE', `--${name} ${values[name]}: a number of seconds above 0`);
      return n;
    };
    const started = performance.now();
    const runSeconds = seconds('for');
    const seed = whole('seed', 2 ** 31);
    const config = demoConfig(values.data, whole('mqtt', 65_535), whole('http', 65_535), seed);
    const gated = values['no-gate'] !== true;
    const credited = values['no-credits'] !== true;
    config.credits.enabled = credited;
    if (values.flows !== undefined) config.flows.port = whole('flows', 65_535);
    const counts = {
      meters: whole('meters', 10_000),
      plants: whole('plants', 10_000),
      vehicles: whole('vehicles', 10_000),
    };

    const narrator = new Narrator();
    narrator.say(`Sejong Edge ${VERSION}, data in ${values.data}`);
    District.removeOldLinks(values.data);
    if (gated) config.checks = { ...config.checks, ...(await foundCity(values.data)) };
    // City, vehicles, plants and gateway are on this one machine: they share its clock.
    if (gated || credited) config.clock.source = 'synced';
    let districtIsUp = false;
    const elapsed = (): number => (performance.now() - started) / 1000;
    const nearTheEnd = (): boolean =>
      stop.aborted || (runSeconds !== undefined && elapsed() > runSeconds - 2 * END_SECONDS);
    const gateway = await startGateway(config, VERSION, (line, level) => {
      if (level === 'debug') return;
      // The district brings the tty: it comes after the gateway that it speaks to, and goes before it.
      if (!line.includes('SERIAL_AWAY') || (districtIsUp && !nearTheEnd())) narrator.say(line);
    });
    const { crediting } = gateway.parts;
    /** Undefined: until it is stopped. */
    const secondsLeft = (): number | undefined =>
      runSeconds === undefined ? undefined : Math.max(1, runSeconds - elapsed() - END_SECONDS);
    let gate: Gate | undefined;
    const flows = values['no-flows']
      ? undefined
      : new DemoFlows(gateway, config, values.flows === undefined, (line) => narrator.say(line));
    const energy = credited ? new Energy(values.data, (line) => narrator.say(line)) : undefined;
    try {
      narrator.introduce(gateway);
      const district = await District.start({
        data: values.data,
        gateway: gateway.info,
        token: await gateway.parts.tokens.issue({ name: 'district', role: 'operator' }, 3600),
        seed,
        ...counts,
        inverters: INVERTERS,
        wires: DEMO_WIRES,
        p256Every: P256_EVERY,
        every: seconds('every') ?? 1,
        creditPlants: energy ? CREDIT_PLANTS : [],
        creditOwners: energy?.owners ?? [],
        hostile: values['no-hostile'] !== true,
        seconds: secondsLeft(),
        say: (line) => narrator.say(line),
      });
      if (gated)
        gate = await Gate.start({
          data: values.data,
          gateway: gateway.info,
          seconds: secondsLeft(),
          say: (line) => narrator.say(line),
          came: (line) => narrator.check(line),
        });
      narrator.watch(gateway, district, crediting && (() => crediting.summary()));
      if (crediting) energy?.watch(gateway, crediting);
      void district.ready.then(() => {
        districtIsUp = true;
        narrator.census(gateway);
        energy?.introduce();
        flows?.start();
      });
      const ended = district.ended.then(() => 'ended' as const);
      const over = runSeconds === undefined ? [] : [ended, sleep((runSeconds + 15) * 1000, stop)];
      const failure = await Promise.race([aborted(stop), gateway.failed, ...over]);
      if (failure instanceof EdgeError) throw failure;
      narrator.say('stopping: devices, intake, last checkpoint, last anchor, chain');
      await Promise.all([district.stop(), gate?.stop(), flows?.stop()]);
      energy?.stop();
    } catch (error) {
      await flows?.stop();
      await gateway.close(0);
      throw error;
    }
    return await end(gateway, values.data, narrator);
  },
};

export function demoConfig(data: string, mqttPort: number, httpPort: number, seed: number): Config {
  return makeConfig({
    dataFolder: data,
    mqtt: { port: mqttPort },
    http: { port: httpPort },
    chain: { mode: 'embedded', everySeconds: ANCHOR_SECONDS, pollSeconds: 1, confirmations: 1 },
    serial: { ports: demoPorts(data, seed) },
    credits: { everySeconds: MINT_SECONDS },
  });
}

/** Of all that the data folder keeps. */
function countByDecision({ parts }: Gateway): Partial<Record<DecisionKind, number>> {
  const counts: Partial<Record<DecisionKind, number>> = {};
  for (const { decision, n } of parts.checkRows?.counts() ?? [])
    counts[decision as DecisionKind] = (counts[decision as DecisionKind] ?? 0) + n;
  return counts;
}

/** Compare what the devices were told with what the log holds, close all, and sum up. */
async function end(gateway: Gateway, data: string, narrator: Narrator): Promise<number> {
  const { accept, devices, entries, quarantine, serial, epoch } = gateway.parts;
  await accept.idle();
  const { acked, missing } = await countMissing(District.ackedFile(data), devices, entries, epoch.asides);
  const serialByDriver: Record<string, number> = {};
  for (const { did, driver } of serial.state().flatMap((port) => port.devices))
    serialByDriver[driver] = (serialByDriver[driver] ?? 0) + (devices.get(did)?.counter.entries ?? 0);
  const serialEntries = Object.values(serialByDriver).reduce((sum, n) => sum + n, 0);
  const quarantined = quarantine.held;
  const count = devices.count;
  const checks = countByDecision(gateway);
  const credits = gateway.parts.crediting?.summary() ?? {
    certificates: 0,
    mintedWh: 0,
    refusedMints: 0,
  };
  const final = await gateway.close();
  narrator.end();
  console.log(
    JSON.stringify({
      ...{
        ...final,
        quarantined,
        devices: count,
        serialEntries,
        serialByDriver,
        acked,
        ackedButMissing: missing,
        checks,
      },
      ...credits,
    }),
  );
  return missing === 0 ? EXIT.done : EXIT.lost;
}
