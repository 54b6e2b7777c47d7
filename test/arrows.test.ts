import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Files that belong to nobody above: what they import must be in their own list. */
const LAYERS: [string, string[]][] = [
  ['edge/errors.ts', []],
  ['edge/version.ts', []],
  ['edge/faults.ts', []],
  ['edge/caps.ts', []],
  ['edge/guard.ts', []],
  ['edge/service/', ['edge/service/']],
  // Makes packages of all the others: none of them knows it.
  ['edge/ops/', ['edge/ops/', 'edge/console-build.ts', 'edge/version.ts']],
  ['edge/wire/', ['edge/errors.ts', 'edge/wire/']],
  // Protocols of devices, pure; and what device kinds are, which names drivers.
  ['edge/drivers/', ['edge/errors.ts', 'edge/wire/', 'edge/drivers/']],
  [
    'edge/profiles/',
    ['edge/errors.ts', 'edge/flaws.ts', 'edge/yaml-file.ts', 'edge/wire/', 'edge/drivers/', 'edge/profiles/'],
  ],
  ['edge/flaws.ts', []],
  ['edge/yaml-file.ts', []],
  ['edge/config.ts', ['edge/errors.ts', 'edge/flaws.ts']],
  [
    'edge/config/',
    ['edge/errors.ts', 'edge/flaws.ts', 'edge/yaml-file.ts', 'edge/config.ts', 'edge/config-file.ts', 'edge/config/'],
  ],
  ['edge/config-file.ts', ['edge/errors.ts', 'edge/config.ts', 'edge/config/env.ts', 'edge/yaml-file.ts']],
  ['edge/keystore.ts', ['edge/errors.ts']],
  ['edge/key-rotation.ts', ['edge/errors.ts', 'edge/faults.ts', 'edge/keystore.ts']],
  ['edge/numbers.ts', ['edge/errors.ts', 'edge/keystore.ts']],
  ['edge/deeds.ts', []],
  ['edge/tokens.ts', ['edge/errors.ts']],
  ['edge/tls.ts', ['edge/errors.ts', 'edge/keystore.ts']],
  ['edge/transport.ts', ['edge/config.ts', 'edge/tls.ts']],
  [
    'edge/identity.ts',
    ['edge/errors.ts', 'edge/wire/', 'edge/config.ts', 'edge/keystore.ts', 'edge/key-rotation.ts', 'edge/tokens.ts'],
  ],
  ['edge/store/', ['edge/errors.ts', 'edge/faults.ts', 'edge/wire/', 'edge/store/']],
  ['edge/log/', ['edge/errors.ts', 'edge/faults.ts', 'edge/wire/', 'edge/store/', 'edge/log/']],
  ['edge/alarms/', ['edge/errors.ts', 'edge/store/', 'edge/alarms/']],
  // Siblings never import each other: gateway.ts hands functions in.
  [
    'edge/intake/',
    [
      ...['edge/errors.ts', 'edge/faults.ts', 'edge/caps.ts', 'edge/guard.ts', 'edge/tokens.ts', 'edge/tls.ts'],
      ...['edge/wire/', 'edge/store/', 'edge/log/', 'edge/drivers/', 'edge/profiles/', 'edge/intake/', 'edge/flaws.ts'],
    ],
  ],
  ...['chain', 'witness', 'checks', 'api'].map((part): [string, string[]] => [
    `edge/${part}/`,
    [
      ...['edge/errors.ts', 'edge/faults.ts', 'edge/caps.ts', 'edge/guard.ts', 'edge/tokens.ts', 'edge/tls.ts'],
      ...['edge/wire/', 'edge/store/', 'edge/log/', `edge/${part}/`],
    ],
  ]),
  // Rules alone: who joins them with the chain is above.
  ['edge/credits/', ['edge/errors.ts', 'edge/wire/', 'edge/store/', 'edge/log/', 'edge/credits/']],
  // How a log begins and ends: beside those who follow it, and handed what it needs of them.
  [
    'edge/epoch/',
    ['edge/errors.ts', 'edge/faults.ts', 'edge/wire/', 'edge/store/', 'edge/log/', 'edge/keystore.ts', 'edge/epoch/'],
  ],
  ['edge/salts.ts', ['edge/errors.ts', 'edge/keystore.ts']],
  ['edge/succeeding.ts', ['edge/api/parts.ts', 'edge/intake/', 'edge/people.ts', 'edge/store/']],
  // Builds the registry's follower for gateway.ts.
  [
    'edge/registering.ts',
    [
      ...['edge/errors.ts', 'edge/caps.ts', 'edge/config.ts', 'edge/identity.ts', 'edge/salts.ts'],
      ...['edge/api/views.ts', 'edge/chain/', 'edge/profiles/profile.ts', 'edge/store/'],
    ],
  ],
  // An auditor's tool: it reads the chain and proofs, and nothing that belongs to a running gateway.
  [
    'edge/verify.ts',
    [
      ...['edge/errors.ts', 'edge/wire/', 'edge/log/'],
      ...['anchor-reader', 'commitment', 'entry-call'].map((f) => `edge/chain/${f}.ts`),
    ],
  ],
  [
    'edge/verify-log.ts',
    ['edge/errors.ts', 'edge/wire/', 'edge/log/', 'edge/verify.ts', 'edge/chain/anchor-reader.ts'],
  ],
  ['edge/fraud.ts', ['edge/errors.ts', 'edge/wire/', 'edge/log/', 'edge/chain/heads.ts']],
  ['edge/verify-bundle.ts', ['edge/errors.ts', 'edge/wire/', 'edge/log/', 'edge/verify.ts']],
  ['edge/verify-gap.ts', ['edge/errors.ts', 'edge/wire/', 'edge/log/', 'edge/verify.ts']],
  ...['edge/verify-certificate.ts', 'edge/verify-certificate-chain.ts'].map((file): [string, string[]] => [
    file,
    [
      ...['edge/errors.ts', 'edge/wire/', 'edge/log/', 'edge/credits/', 'edge/verify.ts', 'edge/verify-certificate.ts'],
      ...['commitment', 'credits-reader'].map((f) => `edge/chain/${f}.ts`),
    ],
  ]),
  // The same tool for where there is no Node: what it is bundled with, and what stands in for Node.
  ['edge/console-bundle.ts', []],
  ...['buffer', 'errors', 'file', 'in-page', 'no-node', 'node', 'older', 'sha256'].map((name): [string, string[]] => [
    `edge/console/verify/${name}.ts`,
    [
      ...['edge/errors.ts', 'edge/wire/', 'edge/log/', 'edge/credits/', 'edge/chain/entry-call.ts', 'edge/verify.ts'],
      ...['gap', 'bundle', 'certificate', 'certificate-chain', 'log'].map((f) => `edge/verify-${f}.ts`),
      ...['buffer', 'file', 'older'].map((f) => `edge/console/verify/${f}.ts`),
    ],
  ]),
  ['edge/credit-samples.ts', ['edge/api/parts.ts', 'edge/store/']],
  // Builds certificates and credits for gateway.ts.
  [
    'edge/crediting.ts',
    [
      ...['edge/errors.ts', 'edge/caps.ts', 'edge/config.ts', 'edge/identity.ts', 'edge/people.ts', 'edge/wire/'],
      ...['edge/api/parts.ts', 'edge/certificates.ts', 'edge/credit-documents.ts', 'edge/credit-samples.ts'],
      ...['edge/chain/', 'edge/credits/'],
      ...['edge/intake/clock.ts', 'edge/log/', 'edge/store/'],
    ],
  ],
  [
    'edge/verify-building.ts',
    ['edge/errors.ts', 'edge/wire/', 'edge/log/', 'edge/credits/building.ts', 'edge/verify.ts'],
  ],
  // Make the API's certificates and documents of rules, rows and chain, for gateway.ts.
  ...['edge/certificates.ts', 'edge/credit-documents.ts'].map((file): [string, string[]] => [
    file,
    [
      ...['edge/errors.ts', 'edge/wire/', 'edge/store/', 'edge/log/', 'edge/credits/', 'edge/chain/', 'edge/api/'],
      ...['edge/people.ts', 'edge/tokens.ts', 'edge/credit-documents.ts'],
    ],
  ]),
  ['edge/run-info.ts', ['edge/keystore.ts']],
  // Another program's host: of the gateway it knows nothing.
  ['edge/node-red/', ['edge/errors.ts', 'edge/guard.ts', 'edge/keystore.ts', 'edge/node-red/']],
  ['edge/anchoring.ts', ['edge/config.ts', 'edge/api/parts.ts', 'edge/chain/', 'edge/epoch/', 'edge/log/']],
  [
    'edge/serial-ports.ts',
    [
      ...['edge/errors.ts', 'edge/flaws.ts', 'edge/config.ts', 'edge/drivers/', 'edge/profiles/'],
      'edge/intake/serial/wire.ts',
    ],
  ],
  ['edge/serial-lines.ts', ['edge/drivers/', 'edge/serial-ports.ts', 'edge/intake/', 'edge/store/']],
  [
    'edge/profile-parts.ts',
    ['edge/errors.ts', 'edge/flaws.ts', 'edge/config.ts', 'edge/api/parts.ts', 'edge/profiles/'],
  ],
  ['edge/retain.ts', ['edge/config.ts', 'edge/chain/', 'edge/intake/', 'edge/log/', 'edge/profiles/', 'edge/store/']],
  [
    'edge/forget.ts',
    ['edge/errors.ts', 'edge/faults.ts', 'edge/intake/', 'edge/log/', 'edge/profiles/', 'edge/store/'],
  ],
  [
    'edge/metrics.ts',
    [
      'edge/forget.ts',
      'edge/alarms/',
      ...['edge/caps.ts', 'edge/api/', 'edge/chain/', 'edge/epoch/', 'edge/intake/', 'edge/log/', 'edge/store/'],
      ...['edge/witness/', 'edge/transport.ts'],
    ],
  ],
  ['edge/vitals.ts', ['edge/api/', 'edge/metrics.ts', 'edge/store/']],
  ['edge/health.ts', ['edge/api/', 'edge/metrics.ts', 'edge/node-red/state.ts']],
  [
    'edge/checking.ts',
    [
      ...['edge/errors.ts', 'edge/caps.ts', 'edge/config.ts', 'edge/identity.ts', 'edge/wire/', 'edge/store/'],
      ...['edge/checks/', 'edge/intake/', 'edge/api/', 'edge/people.ts'],
    ],
  ],
  // Builds the witness parts for gateway.ts, and reads their keys for check-config.
  [
    'edge/witnessing.ts',
    [
      'edge/errors.ts',
      'edge/wire/',
      'edge/config.ts',
      'edge/identity.ts',
      'edge/store/',
      'edge/log/',
      'edge/witness/',
      'edge/api/parts.ts',
    ],
  ],
  [
    'edge/people.ts',
    [
      ...[
        'edge/errors.ts',
        'edge/tokens.ts',
        'edge/alarms/',
        'edge/api/parts.ts',
        'edge/forget.ts',
        'edge/intake/',
        'edge/log/',
        'edge/store/',
      ],
    ],
  ],
  [
    'edge/claiming.ts',
    ['edge/errors.ts', 'edge/wire/', 'edge/tokens.ts', 'edge/people.ts', 'edge/intake/', 'edge/store/'],
  ],
  ['edge/sessions.ts', ['edge/errors.ts', 'edge/tokens.ts', 'edge/people.ts']],
  // Rules alone; what joins them with the log is above.
  ['edge/care/', ['edge/errors.ts', 'edge/care/']],
  ['edge/caring.ts', ['edge/errors.ts', 'edge/wire/', 'edge/care/', 'edge/store/', 'edge/tokens.ts', 'edge/people.ts']],
  ['edge/review.ts', ['edge/errors.ts', 'edge/tokens.ts', 'edge/people.ts', 'edge/intake/', 'edge/store/']],
  // The page asks the API as everybody does; of the gateway's code it takes what is pure, and types.
  ['edge/console/', ['edge/console/', 'edge/api/', 'edge/errors.ts', 'edge/wire/', 'edge/log/', 'edge/verify.ts']],
  ['edge/console-build.ts', ['edge/errors.ts', 'edge/console-bundle.ts']],
  ['edge/logging.ts', ['edge/errors.ts', 'edge/config.ts']],
  ['edge/reload.ts', ['edge/errors.ts', 'edge/config.ts', 'edge/config/keys.ts']],
  [
    'edge/reload-parts.ts',
    [
      ...['edge/config.ts', 'edge/reload.ts', 'edge/serial-ports.ts', 'edge/transport.ts', 'edge/api/', 'edge/chain/'],
      ...['edge/intake/', 'edge/log/', 'edge/store/'],
    ],
  ],
  [
    'edge/configuring.ts',
    ['edge/errors.ts', 'edge/config/', 'edge/config-file.ts', 'edge/api/config.ts', 'edge/reload.ts'],
  ],
  // Looks at all that a gateway needs, from outside.
  [
    'edge/doctor/',
    [
      ...['edge/errors.ts', 'edge/config.ts', 'edge/config/last-good.ts', 'edge/identity.ts', 'edge/keystore.ts'],
      ...['edge/run-info.ts', 'edge/transport.ts', 'edge/backup/', 'edge/chain/look.ts', 'edge/doctor/', 'edge/store/'],
      ...['edge/intake/clock.ts', 'edge/intake/serial/usb.ts'],
    ],
  ],
  // All of a gateway as one file: beside it, as an auditor's tool is.
  [
    'edge/backup/',
    ['edge/errors.ts', 'edge/faults.ts', 'edge/version.ts', 'edge/log/salvage.ts', 'edge/store/', 'edge/backup/'],
  ],
  ['edge/gateway.ts', ['edge/']],
  ['edge/commands/', ['edge/']],
  ['edge/main.ts', ['edge/commands/index.ts', 'edge/commands/exit.ts']],
  ['firmware-sim/', ['firmware-sim/', 'edge/wire/', 'edge/errors.ts']],
];

/** A package that only one place may import, because everything particular to it is there. */
const SOLE_IMPORTERS: Record<string, string> = {
  'better-sqlite3': 'edge/store/',
  aedes: 'edge/intake/mqtt.ts',
  fastify: 'edge/api/',
  viem: 'edge/chain/',
  serialport: 'edge/intake/serial/',
};
/** Types and addresses of viem are spoken by those who hand keys and addresses on. */
const ALSO: Record<string, string[]> = {
  viem: ['edge/commands/keys.ts', 'edge/fraud.ts', 'edge/commands/init.ts', 'edge/commands/deploy.ts'],
};

function* sources(folder: string): Generator<string> {
  for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (/\.tsx?$/.test(entry.name)) yield path;
  }
}

const IMPORT = /(?:\bfrom\s+|\bimport\s*\(\s*|\bimport\s+)'([^']+)'/g;
const importsOf = (file: string): string[] =>
  [...readFileSync(join(ROOT, file), 'utf8').matchAll(IMPORT)].map((m) => m[1] as string);
const within = (file: string, place: string): boolean =>
  place.endsWith('/') ? file.startsWith(place) : file === place;

describe('imports point one way', () => {
  const files = [...sources('edge'), ...sources('firmware-sim')];

  it('every source file has its place in the layers', () => {
    expect(files.filter((file) => !LAYERS.some(([place]) => within(file, place)))).toEqual([]);
  });

  it('no file imports what is above or beside its layer', () => {
    const wrong: string[] = [];
    for (const file of files) {
      const allowed = LAYERS.find(([place]) => within(file, place))?.[1] ?? [];
      for (const target of importsOf(file)) {
        if (!target.startsWith('.') || !/\.tsx?$/.test(target)) continue;
        const path = relative(ROOT, normalize(join(ROOT, dirname(file), target)));
        if (!allowed.some((place) => within(path, place))) wrong.push(`${file} -> ${path}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('what is particular to a package stays in one place', () => {
    const wrong: string[] = [];
    for (const file of files.filter((f) => f.startsWith('edge/')))
      for (const target of importsOf(file))
        for (const [name, place] of Object.entries(SOLE_IMPORTERS))
          if ((target === name || target.startsWith(`${name}/`)) && !within(file, place) && !ALSO[name]?.includes(file))
            wrong.push(`${file} -> ${target}`);
    expect(wrong).toEqual([]);
  });
});
