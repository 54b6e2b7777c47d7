/** The commands, what they say with --help, and how they end. */
import { EdgeError, errorLine } from '../errors.ts';
import { EXIT, exitCodeOf } from './exit.ts';

export type Command = {
  usage: string;
  /** @returns the exit code */
  run: (args: string[], stop: AbortSignal) => Promise<number>;
};

type Known = {
  summary: string;
  load: () => Promise<{ command: Command }>;
  /** The arguments of the child where the command runs under a supervisor; undefined where it does not. */
  supervised?: (args: readonly string[], elapsedMs: number) => readonly string[] | undefined;
};

/** Summaries stand here, so that the overview loads none of what the commands need. */
const COMMANDS: Record<string, Known> = {
  demo: {
    summary: 'A gateway with a simulated district on embedded defaults: what npm start runs.',
    load: () => import('./demo.ts'),
    supervised: (args, elapsedMs) => remaining(args, elapsedMs / 1000),
  },
  run: {
    summary: 'Run the gateway with a config file.',
    load: () => import('./run.ts'),
    supervised: (args) => (args.includes('--supervise') ? args.filter((arg) => arg !== '--supervise') : undefined),
  },
  flows: { summary: 'Run Node-RED beside a gateway, in a process of its own.', load: () => import('./flows.ts') },
  init: { summary: 'Write a commented config, and make the keys.', load: () => import('./init.ts') },
  config: {
    summary: 'Check, show, compare, apply, roll back or reload the config.',
    load: () => import('./config.ts'),
  },
  'check-config': { summary: 'Check a config file, and say what it means.', load: () => import('./check-config.ts') },
  profiles: {
    summary: 'List, show and check profiles: device kinds, and how devices of them are read.',
    load: () => import('./profiles.ts'),
  },
  enroll: {
    summary: 'Enrol a device, or many from a CSV file, with a running gateway.',
    load: () => import('./enroll.ts'),
  },
  forget: {
    summary: 'Destroy what the sealed entries of a device, metering point or vehicle are over.',
    load: () => import('./forget.ts'),
  },
  device: {
    summary: 'List, show, suspend, resume, revoke, replace or re-key devices of a running gateway.',
    load: () => import('./device.ts'),
  },
  claim: { summary: 'Let a device enrol itself with a one-time code.', load: () => import('./claim.ts') },
  token: { summary: 'Make, list and revoke bearer tokens of people and flows.', load: () => import('./token.ts') },
  console: { summary: 'Print a link that signs a browser in to the console.', load: () => import('./console.ts') },
  keys: {
    summary: 'Encrypt the keys under another passphrase, or rotate one of them.',
    load: () => import('./keys.ts'),
  },
  doctor: {
    summary: 'Look at clock, disk, ports, keys, chain and all else a gateway needs, and say what to do.',
    load: () => import('./doctor.ts'),
  },
  backup: { summary: 'Write all of a gateway into one file, while it runs.', load: () => import('./backup.ts') },
  restore: { summary: 'Put a backup in place of a data folder.', load: () => import('./restore.ts') },
  audit: { summary: 'List what operators did, and check it against the log.', load: () => import('./audit.ts') },
  verify: {
    summary: "Verify a receipt or a bundle: the device's signature, the log, the chain. Needs no gateway.",
    load: () => import('./verify.ts'),
  },
  credits: {
    summary: 'List, explain, claim, withdraw and export certificates; verify one without a gateway.',
    load: () => import('./credits.ts'),
  },
  fraud: {
    summary: 'Find two statements of one log that contradict each other, and write or show the proof.',
    load: () => import('./fraud.ts'),
  },
  salvage: {
    summary: 'Make receipts from a database that was set aside. Needs no gateway.',
    load: () => import('./salvage.ts'),
  },
  export: {
    summary: 'Write entries with their receipts into one file, a bundle, that verify takes.',
    load: () => import('./export.ts'),
  },
  probe: {
    summary: 'Find out what is on a serial port: rate, protocol, devices, and the config that reads them.',
    load: () => import('./probe.ts'),
  },
  read: {
    summary: 'Read a device on a serial port, and show what would be signed, once or live.',
    load: () => import('./read.ts'),
  },
  deploy: {
    summary: 'Deploy the Anchors contract to the chain of a config, and register this log.',
    load: () => import('./deploy.ts'),
  },
};

export async function runCommand(argv: readonly string[], stop: AbortSignal): Promise<number> {
  const [name = '', ...args] = argv;
  if (name === '' || name === '--help' || name === '-h' || name === 'help') return overview();
  if (name === '--version') {
    console.log((await import('../version.ts')).VERSION);
    return 0;
  }
  const known = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  try {
    if (!known)
      throw new EdgeError(
        'USAGE',
        `there is no command ${JSON.stringify(name)}; there are ${Object.keys(COMMANDS).join(', ')}`,
      );
    if (args.includes('--help') || args.includes('-h')) {
      const { command } = await known.load();
      console.log(`${known.summary}\n\nusage: sejong-edge ${command.usage}`);
      return 0;
    }
    if (known.supervised?.(args, 0)) {
      const { isSupervised, supervise } = await import('./supervise.ts');
      if (!isSupervised()) {
        const argv = (elapsedMs: number) => [name, ...(known.supervised?.(args, elapsedMs) ?? args)];
        return await supervise(argv, stop, (line) => console.error(line), name === 'run');
      }
    }
    const { command } = await known.load();
    return await command.run(args, stop);
  } catch (error) {
    if (error instanceof EdgeError) {
      console.error(error.line);
      return exitCodeOf(error);
    }
    if ((error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS')) {
      console.error(new EdgeError('USAGE', `${name}: ${(error as Error).message.split('\n')[0]}`).line);
      return EXIT.setup;
    }
    console.error(`${errorLine(error)}\n${(error as Error).stack ?? ''}`);
    return EXIT.internal;
  }
}

/** What a demo that is started again still has of its --for: enough to end as it should, at the least. */
const LEAST_SECONDS = 5;
function remaining(args: readonly string[], elapsedSeconds: number): string[] {
  return args.map((arg, i) => {
    const inOne = /^--for=(.*)$/.exec(arg);
    const text = inOne ? inOne[1] : args[i - 1] === '--for' ? arg : undefined;
    // What is no number is for the command to refuse.
    if (text === undefined || !(Number(text) > 0)) return arg;
    const left = elapsedSeconds < 1 ? text : String(Math.max(LEAST_SECONDS, Number(text) - elapsedSeconds));
    return inOne ? `--for=${left}` : left;
  });
}

function overview(): number {
  console.log('sejong-edge: signed telemetry, kept, logged, anchored\n');
  for (const [name, { summary }] of Object.entries(COMMANDS)) console.log(`  ${name.padEnd(13)}${summary}`);
  console.log('\nsejong-edge COMMAND --help tells more.');
  return 0;
}
