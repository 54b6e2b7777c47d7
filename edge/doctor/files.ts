/** Keys and folders: who may read what. And the serial ports of the config. */
import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { findUsb } from '../intake/serial/usb.ts';
import { bad, type Finding, ok, warn } from './finding.ts';

const CONNECT_MS = 3_000;
const octal = (mode: number): string => (mode & 0o777).toString(8).padStart(4, '0');

export function examineKeys(config: Config, configFile: string | undefined): Finding[] {
  const findings: Finding[] = [];
  const { dataFolder } = config;
  if (!existsSync(dataFolder))
    return [
      warn('data folder', `${dataFolder} is not there yet`, 'sejong-edge init makes it, or the first start does.'),
    ];
  const owner = statSync(dataFolder).uid;
  const open: string[] = [];
  const foreign: string[] = [];
  const look = (path: string, allowed: number): void => {
    const { mode, uid } = statSync(path);
    if ((mode & 0o777 & ~allowed) !== 0) open.push(`${path} (${octal(mode)})`);
    if (uid !== owner) foreign.push(path);
  };
  const keys = join(dataFolder, 'keys');
  try {
    look(dataFolder, 0o750);
    if (existsSync(keys)) {
      look(keys, 0o700);
      for (const name of readdirSync(keys)) look(join(keys, name), 0o600);
    }
    if (existsSync(join(dataFolder, 'edge.db'))) look(join(dataFolder, 'edge.db'), 0o640);
  } catch (error) {
    return [bad('keys', (error as Error).message, 'Run doctor as the user of the gateway, or as root.')];
  }
  // The database has the mode that the umask leaves: a folder that is closed keeps others from it.
  const closed = (statSync(dataFolder).mode & 0o007) === 0;
  const real = closed ? open.filter((line) => !line.includes('edge.db')) : open;
  findings.push(
    real.length > 0
      ? bad(
          'permissions',
          `others can get at ${real.join(', ')}`,
          `chmod 700 ${dataFolder} ${keys}; chmod 600 ${keys}/*`,
        )
      : foreign.length > 0
        ? bad(
            'permissions',
            `${foreign.join(', ')} belong to another user than ${dataFolder}`,
            `chown -R to the user that the gateway runs as (uid ${owner}).`,
          )
        : ok('permissions', `${dataFolder} and its keys are closed to others`),
  );
  const { SEJONG_EDGE_PASSPHRASE, CREDENTIALS_DIRECTORY } = process.env;
  const beside = join(keys, 'passphrase');
  if (config.keys.passphraseFile !== '' && !existsSync(config.keys.passphraseFile))
    findings.push(
      bad('passphrase', `${config.keys.passphraseFile} is not there`, 'Bring it back: without it no key can be read.'),
    );
  else if (existsSync(beside) && config.keys.passphraseFile === '' && !SEJONG_EDGE_PASSPHRASE && !CREDENTIALS_DIRECTORY)
    findings.push(
      warn(
        'passphrase',
        'lies beside the keys that it protects',
        'Move it elsewhere, and set keys.passphraseFile (or a systemd credential); and write it down for backups.',
      ),
    );
  if (configFile !== undefined && existsSync(configFile) && (statSync(configFile).mode & 0o022) !== 0)
    findings.push(
      bad(
        'config file',
        `${configFile} can be written by others (${octal(statSync(configFile).mode)})`,
        `chmod go-w ${configFile}`,
      ),
    );
  return findings;
}

/** @param running a device that serves one client is not asked while the gateway has it */
export async function examineSerial(config: Config, running: boolean): Promise<Finding[]> {
  return Promise.all(
    config.serial.ports.map(async (port): Promise<Finding> => {
      const where = port.path || port.tcp || 'usb';
      const name = `serial ${where}`;
      if (port.tcp !== '') {
        if (running) return ok(name, 'left to the gateway that runs: see its /health');
        const why = await tryToConnect(port.tcp);
        return why === undefined
          ? ok(name, 'answers')
          : bad(name, why, 'Look at its power, cable and address; a converter may serve one client alone.');
      }
      let path = port.path;
      if (port.usb !== undefined)
        try {
          path = await findUsb(port.usb as Parameters<typeof findUsb>[0]);
        } catch (error) {
          return bad(name, (error as Error).message, 'Plug it in; lsusb -v shows what there is.');
        }
      if (!existsSync(path))
        return bad(name, `${path} is not there`, 'Plug it in; ls /dev/serial/by-id shows what there is.');
      if (!statSync(path).isCharacterDevice()) return bad(name, `${path} is no device`, 'Name the tty itself.');
      try {
        accessSync(path, constants.R_OK | constants.W_OK);
      } catch {
        return bad(
          name,
          `${path} may not be opened by this user`,
          'Put the user of the gateway into the group of the device: usermod -aG dialout sejong-edge.',
        );
      }
      return ok(name, `${path} can be opened`);
    }),
  );
}

function tryToConnect(address: string): Promise<string | undefined> {
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at).replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(address.slice(at + 1)), timeout: CONNECT_MS });
    const end = (why: string | undefined): void => {
      socket.destroy();
      resolve(why);
    };
    socket.once('connect', () => end(undefined));
    socket.once('timeout', () => end('does not answer'));
    socket.once('error', (error) => end(error.message));
  });
}
