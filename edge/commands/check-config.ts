import { parseArgs } from 'node:util';
import { checkCity } from '../checking.ts';
import type { Config } from '../config.ts';
import { loadConfig, overridesOf } from '../config-file.ts';
import { EdgeError } from '../errors.ts';
import { profileWarnings, sealing } from '../profile-parts.ts';
import { loadProfiles } from '../profiles/load.ts';
import { serialPorts } from '../serial-ports.ts';
import { Certificates } from '../transport.ts';
import { checkKeys } from '../witnessing.ts';
import type { Command } from './index.ts';

export const command: Command = {
  usage: `check-config FILE

As sejong-edge config check FILE: checks it with all that it names, and says what it means.`,
  run: async (args) => {
    const { positionals } = parseArgs({ args, options: {}, allowPositionals: true });
    const [path] = positionals;
    if (path === undefined || positionals.length > 1) throw new EdgeError('USAGE', 'check-config needs one FILE');
    describeConfig(path, loadConfig(path));
    return 0;
  },
};

/**
 * Checks a config with all that it names, as far as that can be done beside a gateway that runs.
 * @throws EdgeError CONFIG_INVALID, PROFILE_INVALID, CERTIFICATE_INVALID, KEY_UNREADABLE
 */
export function checkWhole(config: Config) {
  checkKeys(config);
  checkCity(config);
  const profiles = loadProfiles(config.profiles.folder);
  const ports = serialPorts(config, profiles);
  const isSealed = sealing(config, profiles);
  const notes: string[] = [];
  const certificates = Certificates.open(
    config,
    () => true,
    (line) => notes.push(line),
  );
  certificates.stop();
  return { profiles, ports, isSealed, certificates: [...certificates], notes };
}

/** Says what it means. @throws as {@link checkWhole} */
export function describeConfig(path: string, config: Config): void {
  const { profiles, ports, isSealed, certificates, notes } = checkWhole(config);
  const { log, witness, mqtt, http, chain, checks, dataFolder, retention } = config;
  console.log(`${path} is valid`);
  console.log(`data      ${dataFolder}`);
  console.log(
    `log       ${log.origin}, a checkpoint every ${log.checkpointSeconds} s or ${log.checkpointEntries} entries`,
  );
  const { days, maxBytes, reserveBytes } = retention;
  console.log(
    `retention ${days === 0 ? 'payloads are kept for ever' : `payloads for ${days} days`}, ${maxBytes === 0 ? 'no quota' : `at most ${maxBytes} bytes`}, a reserve of ${reserveBytes} bytes`,
  );
  if (log.witnesses.length > 0) console.log(`witnesses ${log.witnesses.length}, a quorum is ${log.quorum}`);
  if (witness.logs.length > 0) console.log(`witness   of ${witness.logs.length} logs`);
  console.log(`mqtt      ${mqtt.host}:${mqtt.port}`);
  console.log(`http      ${http.host}:${http.port}`);
  for (const note of notes) console.log(note);
  for (const [name, certificate] of certificates) {
    const { tls } = config[name];
    const clients = tls.caFile === '' ? '' : `, clients by ${tls.caFile}`;
    console.log(`${name.padEnd(10)}${tls.host}:${tls.port} over TLS, ${certificate.health().detail}${clients}`);
  }
  console.log(
    `chain     ${chain.mode}${chain.mode === 'rpc' ? ` ${new URL(chain.rpc).origin}, chain ${chain.chainId}` : ''}${chain.mode === 'none' ? '' : `, an anchor every ${chain.everySeconds} s`}`,
  );
  if (checks.cityDid !== '') console.log(`checks    ${checks.gates.length} gates, the city is ${checks.cityDid}`);
  const own = config.profiles.folder;
  const all = profiles.list();
  console.log(
    `profiles  ${all.length}${own === '' ? '' : `, ${all.filter(({ file }) => file.startsWith(own)).length} of them from ${own}`}; sealed are ${profiles.kinds().filter(isSealed).join(', ') || 'none'}`,
  );
  for (const warning of profileWarnings(config, profiles)) console.log(`warning   ${warning}`);
  for (const { name, place, line, devices } of ports) {
    const { baudRate, dataBits, parity, stopBits } = line;
    const format = 'tcp' in place ? '' : ` at ${baudRate} baud ${dataBits}${parity[0]?.toUpperCase()}${stopBits}`;
    console.log(`serial    ${name}${format}, ${devices.length} devices`);
    for (const { label, profile, everySeconds, sub, did } of devices)
      console.log(`          ${label}: ${sub || did}, ${profile.title} (${profile.name}), every ${everySeconds} s`);
  }
  for (const { key, variable } of overridesOf(config)) console.log(`override  ${key} from ${variable}`);
}
