/** The config: one schema with types, defaults, docs and validation. `init` writes its commented example from it. */
import Type, { type Static, type TSchema } from 'typebox';
import Value from 'typebox/value';
import { EdgeError } from './errors.ts';
import { flawsOf, sayFlaw } from './flaws.ts';

const section = <P extends Record<string, TSchema>>(description: string, properties: P) =>
  Type.Object(properties, { description, additionalProperties: false, default: {} });
const text = (description: string, rest: object = {}) => Type.String({ description, ...rest });
const integer = (description: string, value: number, minimum: number, maximum: number, rest: object = {}) =>
  Type.Integer({ description, default: value, minimum, maximum, ...rest });
const number = (description: string, value: number, minimum: number, maximum: number, rest: object = {}) =>
  Type.Number({ description, default: value, minimum, maximum, ...rest });
const oneOf = <const V extends string>(description: string, value: V, ...values: V[]) =>
  Type.Enum(values, { description, default: value });

/** Taken over by a running gateway (reload.ts); what has no such mark needs a restart. */
const LIVE = { reload: true };

export const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
/** The parts of the gateway that say something, as its log lines name them. */
export const PARTS = [
  ...['gateway', 'config', 'store', 'disk', 'log', 'epoch', 'retention', 'forget', 'clock', 'mqtt', 'http', 'serial'],
  ...['chain', 'registry', 'credits', 'checks', 'witness', 'profiles', 'alarms', 'care', 'console', 'flows'],
] as const;

const partLevel = () => Type.Optional(Type.Enum([...LEVELS], LIVE));

const verifierKey = (description: string) =>
  text(description, { pattern: '^[^\\s+]{1,255}\\+[0-9a-f]{8}\\+[A-Za-z0-9+/]{44}$' });
const checkName = (description: string) => text(description, { pattern: '^[a-z0-9][a-z0-9-]{0,63}$' });
const PORT = [0, 65_535] as const;
const tls = (port: number, clients: string) =>
  section('TLS 1.2 and 1.3 beside the plain listener. Changed files, or SIGHUP, take effect without a restart.', {
    certFile: text(
      'Certificate chain in PEM, its own first. Empty: no TLS. Relative to this file, as the other two are.',
      { default: '', ...LIVE },
    ),
    keyFile: text('Its private key in PEM, a file that nobody else can read (mode 0600).', { default: '', ...LIVE }),
    caFile: text(clients, { default: '', ...LIVE }),
    host: text('Address to listen on.', { default: '0.0.0.0' }),
    port: integer('TCP port; 0 takes any free one.', port, ...PORT),
  });

export const ConfigSchema = Type.Object(
  {
    dataFolder: text('Where the database, the keys and the embedded chain live. Relative to this file.', {
      default: './data',
    }),
    logging: section(
      'What is written to standard output: lines of JSON, each with its part, and a code where there is one.',
      {
        level: Type.Enum([...LEVELS], { description: 'Nothing below it is written.', default: 'info', ...LIVE }),
        parts: section(
          'Levels of parts that have another one; with debug, http says each request. (reload)',
          Object.fromEntries(PARTS.map((part) => [part, partLevel()])) as unknown as Record<
            (typeof PARTS)[number],
            ReturnType<typeof partLevel>
          >,
        ),
      },
    ),
    log: section('The Merkle log and its checkpoints.', {
      origin: text(
        'The name of the log, for ever: the origin line of its checkpoints and the audience of all tokens. A URL without its scheme is customary.',
        {
          default: 'sejong.example/edge-1',
          pattern: '^[\\x21-\\x2a\\x2c-\\x7e]{1,200}$',
        },
      ),
      checkpointSeconds: number('A checkpoint at least so often, while the log grows.', 5, 0.1, 3600, LIVE),
      checkpointEntries: integer('A checkpoint after so many new entries at the latest.', 1000, 1, 1_000_000, LIVE),
      witnesses: Type.Array(
        Type.Object(
          {
            key: verifierKey(
              'Verifier key of the witness (name+hash+base64, type 0x04), as its /witness/key gives it.',
            ),
            url: text('Its submission prefix (C2SP tlog-witness): add-checkpoint is below it.', {
              pattern: '^https?://[^\\s?#@]{1,400}$',
            }),
          },
          { additionalProperties: false },
        ),
        { default: [], maxItems: 32, description: 'Who is asked to cosign each new checkpoint.' },
      ),
      quorum: integer(
        'So many of them make a checkpoint a witnessed one. A checkpoint is published without, too, and then said to be unwitnessed.',
        0,
        0,
        32,
      ),
      witnessTimeoutSeconds: number(
        'How long a witness may take to answer, and how long after boot signing waits for the first word of any, where no chain has spoken.',
        10,
        0.1,
        120,
      ),
      witnessRetrySeconds: number('A witness that is away is asked again at least so often.', 60, 0.1, 3600),
    }),
    witness: section('This gateway as a witness of other logs (C2SP tlog-witness), below /witness.', {
      name: text("The name of its key. Empty: the log's origin and /witness.", {
        default: '',
        pattern: '^[\\x21-\\x2a\\x2c-\\x7e]{0,255}$',
      }),
      logs: Type.Array(
        Type.Object(
          {
            key: verifierKey('Verifier key of the log (name+hash+base64, type 0x01), as its /log/key gives it.'),
            origin: text("Origin line of its checkpoints. Empty: the key's name.", {
              default: '',
              pattern: '^[^\\n]{0,255}$',
            }),
          },
          { additionalProperties: false },
        ),
        { default: [], maxItems: 1000, description: 'The logs that are cosigned; no others.' },
      ),
      maxRate: integer('Cosignatures a second of one log; more are refused for the moment.', 10, 1, 1000),
    }),
    mqtt: section('The broker that devices speak to (MQTT 3.1.1).', {
      host: text('Address to listen on. Loopback unless you open it.', { default: '127.0.0.1' }),
      port: integer('TCP port; 0 takes any free one.', 1883, ...PORT),
      tls: tls(
        8883,
        'The CA of client certificates, and the only one. A certificate with one did:key URI in its subjectAltName logs that device in without a password, where it is enrolled and active. Empty: none is asked for.',
      ),
      maxConnections: integer('Connections at once; more are closed at once.', 10_000, 1, 100_000, LIVE),
      maxConnectionsPerUser: integer('Connections at once of one device or person.', 4, 1, 1000, LIVE),
      connectTimeoutSeconds: number('A connection must log in within this time.', 10, 1, 120),
      maxKeepAliveSeconds: integer(
        'A client that states a longer keep-alive, or none, is closed after 1.5 times this without a packet.',
        1200,
        1,
        65_535,
        LIVE,
      ),
      maxConnectBytes: integer('The largest packet before the login, which is a CONNECT.', 8192, 6144, 65_536, LIVE),
      maxPacketBytes: integer(
        'The largest packet. An envelope that is too large gets its place in quarantine up to here; above it the connection is closed.',
        131_072,
        66_560,
        1_048_576,
        LIVE,
      ),
      maxTopicLevels: integer('Levels of a topic.', 8, 5, 100),
      maxPacketsBeforeLogin: integer('Packets that may wait behind a CONNECT until its login is checked.', 42, 1, 1000),
      maxInflight: integer('QoS 2 messages of one connection that wait for their PUBREL.', 1000, 1, 65_535),
      maxUnreadBytes: integer(
        'Bytes that may lie here for a client that does not read; above it, messages to it are left out.',
        1_048_576,
        65_536,
        67_108_864,
        LIVE,
      ),
      maxDeviceRate: integer(
        'Envelopes a second that one device may send for long; above it its socket is read more slowly.',
        1000,
        1,
        1_000_000,
        LIVE,
      ),
      maxLoginsAtOnce: integer('Logins that are checked at once; others wait their turn.', 32, 1, 1000, LIVE),
      maxFailedLogins: integer(
        'Failed logins a minute of one user name from one address; above it, its logins are refused unchecked (return code 3).',
        60,
        1,
        1_000_000,
        LIVE,
      ),
    }),
    http: section('The API, the log and the console.', {
      host: text('Address to listen on. Loopback unless you open it.', { default: '127.0.0.1' }),
      port: integer('TCP port; 0 takes any free one.', 8080, ...PORT),
      tls: tls(
        8443,
        'The CA of client certificates, and the only one. With it, only clients that have one of its certificates are served here; they need their tokens all the same. Empty: none is asked for.',
      ),
      maxEventStreams: integer('Readers of /events at once.', 100, 1, 10_000, LIVE),
      maxFailedLogins: integer(
        'Requests a minute from one address with a token that is not good; above it, tokens from there that were not good before are refused unchecked (429).',
        120,
        1,
        1_000_000,
        LIVE,
      ),
    }),
    alarms: section('What is said to need a person: GET /alarms.', {
      healthSeconds: number(
        'How often the parts are looked at. One that is not well twice in a row is an alarm.',
        5,
        0.1,
        3600,
      ),
      silentSeconds: number(
        'A device is silent after three times what it usually lets pass, and after so many seconds at the least.',
        60,
        1,
        2_592_000,
      ),
      maxOpen: integer(
        'Alarms about devices and refused envelopes that are open at once; others wait until there is room.',
        1000,
        1,
        100_000,
      ),
    }),
    intake: section('Caps on what may wait or lie in quarantine.', {
      maxPendingBytes: integer(
        'Bytes of envelopes that wait for their check or for the disk; beyond it sockets are read more slowly.',
        16_777_216,
        65_536,
        1_073_741_824,
        LIVE,
      ),
      maxPendingBytesPerDevice: integer(
        'The same for one device, so that none takes the room of all.',
        262_144,
        65_536,
        1_073_741_824,
        LIVE,
      ),
      maxQuarantinePerDevice: integer(
        'Refused envelopes kept of one device; beyond it they are not acknowledged.',
        1000,
        1,
        1_000_000,
        LIVE,
      ),
      maxQuarantine: integer('Refused envelopes kept of all devices together.', 100_000, 1, 10_000_000, LIVE),
    }),
    retention: section(
      'What may be forgotten, and what happens when the disk is full. Hashes, counters and receipts given are for ever.',
      {
        days: number(
          'Payloads that are anchored and older than this are pruned; 0 keeps them for ever. Waits for a synced clock.',
          0,
          0,
          36_500,
          LIVE,
        ),
        maxBytes: integer(
          'The database grows to so many bytes at most; 0 leaves it what the file system has.',
          0,
          0,
          Number.MAX_SAFE_INTEGER,
        ),
        reserveBytes: integer(
          'Bytes of the quota and of the file system that readings never get. Below twice as many, anchored location-rate telemetry is thinned, oldest first; at it, nothing new is acknowledged.',
          16_777_216,
          65_536,
          1_099_511_627_776,
          LIVE,
        ),
        gapLostDays: number(
          'Counters of a device that are missing for so long are declared lost, in the log; 0 leaves that to an operator.',
          0,
          0,
          36_500,
          LIVE,
        ),
      },
    ),
    devices: section('What is still taken of a device that is over: revoked, replaced, or past its period.', {
      acceptBacklogAfterRevocation: Type.Boolean({
        description:
          'Take what it signed before (by its iat) where its counter was expected: it fills a gap that was open. Otherwise it lies in quarantine.',
        default: false,
        ...LIVE,
      }),
      backlogMaxAgeSeconds: number('Backlog is at most so old when it comes.', 604_800, 1, 315_360_000, LIVE),
    }),
    privacy: section('What stands in the open log, and what only its salted hash stands for.', {
      sealedKinds: Type.Optional(
        Type.Array(checkName('A kind.'), {
          maxItems: 1000,
          description:
            'Kinds of devices whose readings are sealed from now on, and no others. Left out: those whose profiles say so (sejong-edge profiles list). Readings of a sealed plant cannot be shown to the contract that mints credits.',
        }),
      ),
    }),
    profiles: section('Device kinds, and how devices of them are read: files of YAML.', {
      folder: text(
        'Profiles of your own, beside those that come with the gateway. Empty: none. Relative to this file.',
        { default: '' },
      ),
    }),
    clock: section('What the wall clock is worth.', {
      source: oneOf(
        'system asks the machine whether its clock was set from outside; synced and unsynced state it.',
        'system',
        'system',
        'synced',
        'unsynced',
      ),
    }),
    keys: section('Private keys, encrypted at rest.', {
      passphraseFile: text(
        'File (mode 0600) with the passphrase. Empty: SEJONG_EDGE_PASSPHRASE, a systemd credential named sejong-edge-passphrase, or keys/passphrase in the data folder.',
        { default: '' },
      ),
    }),
    chain: section('Where roots are anchored.', {
      mode: oneOf(
        'embedded runs anvil with its state in the data folder; rpc uses a chain that others keep; none anchors nothing.',
        'embedded',
        'embedded',
        'rpc',
        'none',
      ),
      rpc: text('JSON-RPC URL, for mode rpc.', { default: '' }),
      chainId: integer('The chain that rpc must be, for mode rpc.', 31_337, 1, Number.MAX_SAFE_INTEGER),
      anchors: text('Address of the Anchors contract, for mode rpc (sejong-edge deploy makes one).', {
        default: '',
        pattern: '^$|^0x[0-9a-fA-F]{40}$',
      }),
      devices: text(
        "Address of the city's Devices contract, for mode rpc (sejong-edge deploy --devices makes one). Empty: no registry, what is enrolled here speaks. On the embedded chain the gateway deploys one and enrols on it.",
        { default: '', pattern: '^$|^0x[0-9a-fA-F]{40}$' },
      ),
      devicesFromBlock: integer('Its first block, or any before it.', 0, 0, Number.MAX_SAFE_INTEGER),
      devicesFile: text(
        "The city's registry file (mode 0600): the salts by which the registry knows vehicles and households, a line of JSON each, {did, salt}. Read again when it changes. Empty: registry-salts.jsonl in the data folder.",
        { default: '' },
      ),
      maxRegistryEvents: integer(
        'Events of the registry that are kept; with more the table stays as it is.',
        200_000,
        1,
        10_000_000,
      ),
      credits: text(
        'Address of the Credits contract, for mode rpc (sejong-edge deploy --credits makes one). Empty: no certificates. On the embedded chain the gateway deploys one.',
        { default: '', pattern: '^$|^0x[0-9a-fA-F]{40}$' },
      ),
      market: text('Address of the Market contract of those credits, for mode rpc. Empty: trades are not followed.', {
        default: '',
        pattern: '^$|^0x[0-9a-fA-F]{40}$',
      }),
      creditsFromBlock: integer('Their first block, or any before it.', 0, 0, Number.MAX_SAFE_INTEGER),
      maxCreditEvents: integer(
        'Events of credits and trades that are kept; with more the table stays as it is.',
        1_000_000,
        1,
        100_000_000,
      ),
      embeddedPort: integer('Port of the embedded chain; 0 takes any free one.', 0, ...PORT),
      everySeconds: number('An anchor at most so often.', 600, 0.1, 86_400, LIVE),
      pollSeconds: number('How often to look at the chain.', 5, 0.1, 3600),
      confirmations: integer('Blocks, its own included, after which an anchor is final.', 12, 1, 1000),
      stuckSeconds: number(
        'A transaction not mined after this time is replaced with fees 15 % higher.',
        120,
        0.1,
        86_400,
      ),
      maxFeeGwei: number('Never offer more per gas.', 500, 0.001, 1_000_000),
    }),
    checks: section('Checks of vehicles at gates and chargers. Off where cityDid is empty.', {
      cityDid: text('did:key of the city, which signs its bundles. The one thing that must come from a safe hand.', {
        default: '',
        pattern: '^$|^did:key:z[1-9A-HJ-NP-Za-km-z]{40,60}$',
      }),
      bundleFile: text('A city bundle that is dropped here is taken. Empty: none is looked for.', { default: '' }),
      bundleUrl: text('Where city bundles are fetched from. Empty: they are not.', {
        default: '',
        pattern: '^$|^https?://[^\\s#@]{1,400}$',
      }),
      refreshSeconds: number('How often bundleUrl is asked.', 300, 1, 86_400),
      fetchSeconds: number('How long it may take to answer.', 30, 0.1, 600),
      gates: Type.Array(
        Type.Object(
          {
            name: checkName('What vehicles and flows call it.'),
            zone: checkName('The zone that it opens, as the city names it.'),
            purposes: Type.Array(checkName('As the city names them.'), {
              minItems: 1,
              maxItems: 32,
              description: 'What one may pass for.',
            }),
            lat: number('Where it stands, degrees.', 0, -90, 90),
            lon: number('Degrees.', 0, -180, 180),
            radiusM: number(
              'How far from there a vehicle may be that speaks to it, metres; 0: its place is not known, and no position is asked for.',
              0,
              0,
              100_000,
            ),
          },
          { additionalProperties: false },
        ),
        { default: [], maxItems: 1000, description: 'Gates and chargers.' },
      ),
      maxSessions: integer('Challenges that may wait for their answers.', 1000, 1, 100_000),
      maxWaiting: integer('Requests that may wait for a vehicle (POST /checks).', 100, 1, 10_000),
      maxRefusals: integer(
        'Refusals a minute that are logged and answered where no credential was proven; more are only counted.',
        120,
        1,
        100_000,
      ),
      maxRate: number('Messages a second of one vehicle, for long; more are left out.', 5, 0.1, 1000),
      maxStrangers: integer('Connections at once of vehicles that are not enrolled.', 200, 1, 10_000),
      maxStrangerLogins: integer('Logins of them a minute.', 600, 1, 1_000_000),
      keepRows: integer(
        'Checks that are kept with their content; beyond it the oldest are deleted, and only their entries stay.',
        100_000,
        1000,
        100_000_000,
      ),
    }),
    credits: section('Certificates of renewable energy, and the credits minted for them.', {
      enabled: Type.Boolean({
        description:
          'Make certificates, and send them to the chain. It needs a chain: with chain.mode rpc, chain.credits as well.',
        default: true,
      }),
      everySeconds: number('Slots that are complete are sent to the chain at most so often.', 3600, 0.1, 604_800),
      residualDays: number(
        'So long after a gap its energy goes to a residual of the month. Until then late readings may still make hours of it.',
        14,
        0,
        366,
      ),
      recAlarmDays: integer(
        'So many days before the last one on which RECs of a month may be applied for, energy of it that no application has locked is an alarm; 0: never.',
        14,
        0,
        90,
      ),
      lat: number('Where the plants stand, degrees: energy of the sun at night is flagged.', 36.48, -90, 90),
      lon: number('Degrees.', 127.29, -180, 180),
      area: text('Where the plants stand, as certificates say it: coarse, an ISO 3166-2 code.', {
        default: 'KR-50',
        pattern: '^[A-Z]{2}(-[A-Z0-9]{1,3})?$',
      }),
    }),
    flows: section("Node-RED, for the city's engineers (sejong-edge flows): a process of its own.", {
      host: text('Address to listen on. Loopback unless you open it.', { default: '127.0.0.1' }),
      port: integer('TCP port; 0 takes any free one.', 1880, ...PORT),
      maxMemoryMb: integer('Above so many MB it is ended, and started again.', 384, 192, 65_536),
      maxDiskMb: integer(
        'Above so many MB of files in its folder it is ended: a flow must not fill the disk that readings need.',
        256,
        16,
        1_048_576,
      ),
      nice: integer('How far it steps back for the gateway, which has 0.', 10, 0, 19),
      hangSeconds: number(
        'A flow that lets nothing else happen for so long is ended, and Node-RED with it.',
        15,
        2,
        600,
      ),
    }),
    serial: section('Devices on serial lines, read by the gateway, which holds their keys.', {
      ports: Type.Array(
        Type.Object(
          {
            path: text('The tty, best by /dev/serial/by-id. Or usb, or tcp; one of the three.', { default: '' }),
            usb: Type.Optional(
              Type.Object(
                {
                  serialNumber: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
                  vendorId: Type.Optional(Type.String({ pattern: '^[0-9a-fA-F]{4}$' })),
                  productId: Type.Optional(Type.String({ pattern: '^[0-9a-fA-F]{4}$' })),
                },
                {
                  additionalProperties: false,
                  minProperties: 1,
                  description: 'A USB adapter, under whatever name it comes: as lsusb -v shows it.',
                },
              ),
            ),
            tcp: text('host:port of a device or converter on the network.', {
              default: '',
              pattern: '^$|^(\\[[0-9a-fA-F:.]+\\]|[^\\s:/\\[\\]]{1,253}):\\d{1,5}$',
            }),
            baudRate: Type.Optional(
              Type.Integer({
                minimum: 50,
                maximum: 4_000_000,
                description: 'This and the next three: left out, as the profiles of its devices say.',
              }),
            ),
            dataBits: Type.Optional(Type.Enum([7, 8])),
            parity: Type.Optional(Type.Enum(['none', 'even', 'odd'])),
            stopBits: Type.Optional(Type.Enum([1, 2])),
            rs485: Type.Optional(
              Type.Object(
                {
                  rtsOnSend: Type.Optional(Type.Boolean()),
                  delayBeforeMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 1000 })),
                  delayAfterMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 1000 })),
                  receiveWhileSending: Type.Optional(Type.Boolean()),
                },
                {
                  additionalProperties: false,
                  description: 'Where RTS switches the transceiver. Most USB adapters do it by themselves.',
                },
              ),
            ),
            timeoutMs: integer('How long a device may think before it counts as silent.', 1000, 10, 60_000),
            gapMs: Type.Optional(
              Type.Integer({
                minimum: 0,
                maximum: 10_000,
                description: 'Least silence before a request. Left out: 3.5 characters.',
              }),
            ),
            devices: Type.Array(
              Type.Object(
                {
                  did: text(
                    'DID of the enrolled device (custody gateway). Empty: it is enrolled by itself, as sub and the kind of its profile say.',
                    { default: '' },
                  ),
                  sub: text('URN of what it measures, where did is empty.', { default: '' }),
                  profile: text('What it is: sejong-edge profiles list.'),
                  unitId: Type.Optional(
                    Type.Integer({ minimum: 0, maximum: 255, description: 'Its number on a Modbus line.' }),
                  ),
                  address: Type.Optional(
                    Type.Union([Type.Integer({ minimum: 0 }), Type.String({ maxLength: 64 })], {
                      description: 'Its address on the line, where it has another one.',
                    }),
                  ),
                  secrets: Type.Optional(
                    Type.Record(Type.String(), Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$' }), {
                      description: 'Keys and passwords that it wants, by the names they have (sejong-edge keys put).',
                    }),
                  ),
                  options: Type.Optional(
                    Type.Record(Type.String(), Type.Unknown(), {
                      description: 'What its driver wants to know beside.',
                    }),
                  ),
                  everySeconds: Type.Optional(
                    Type.Number({
                      minimum: 0.05,
                      maximum: 86_400,
                      description: 'How often it is read. Left out: as its profile says.',
                    }),
                  ),
                  priority: Type.Optional(Type.Enum(['high', 'normal', 'low'])),
                },
                { additionalProperties: false },
              ),
              { default: [], maxItems: 250, description: 'The devices on this line.' },
            ),
          },
          { additionalProperties: false },
        ),
        { default: [], maxItems: 100, description: 'Serial ports.', ...LIVE },
      ),
    }),
  },
  { additionalProperties: false },
);

export type Config = Static<typeof ConfigSchema>;

/** Where a config stands: its file, and the line of a JSON pointer in it as ":12", empty where it is not known. */
export type ConfigPlace = { where: string; line: (pointer: string) => string };

const PLACES = new WeakMap<object, ConfigPlace>();

/** For what is found wrong with a config only later, together with other files. */
export const placeOf = (config: Config): ConfigPlace => PLACES.get(config) ?? { where: 'config', line: () => '' };

/** A section of which every key is a comment is null in YAML, and means what an absent one does. */
function withoutEmpty(schema: unknown, value: unknown): unknown {
  const { properties } = schema as { properties?: Record<string, unknown> };
  if (!properties || value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  for (const [key, child] of Object.entries(value as Record<string, unknown>)) {
    const known = Object.hasOwn(properties, key) ? (properties[key] as { type?: string; properties?: object }) : {};
    if (child === null && known.properties) (value as Record<string, unknown>)[key] = {};
    else withoutEmpty(known, child);
  }
  return value;
}

/** The defaults with `values` over them, checked. @throws EdgeError CONFIG_INVALID */
export function makeConfig(
  values: unknown = {},
  where = 'config',
  line: (pointer: string) => string = () => '',
): Config {
  const filled = Value.Default(ConfigSchema, withoutEmpty(ConfigSchema, structuredClone(values ?? {})));
  const problems: string[] = [];
  for (const flaw of flawsOf(ConfigSchema, filled, 'the config'))
    problems.push(sayFlaw(`${where}${line(flaw.at)}`, flaw));
  const config = filled as Config;
  if (problems.length === 0 && config.chain.mode === 'rpc' && !/^https?:\/\//.test(config.chain.rpc))
    problems.push(`${where}${line('/chain')}: chain.rpc must be an http or https URL when chain.mode is rpc`);
  if (problems.length === 0 && config.log.quorum > config.log.witnesses.length)
    problems.push(
      `${where}${line('/log/quorum')}: log.quorum is ${config.log.quorum} of ${config.log.witnesses.length} witnesses`,
    );
  for (const name of problems.length === 0 ? (['mqtt', 'http'] as const) : [])
    if ((config[name].tls.certFile === '') !== (config[name].tls.keyFile === ''))
      problems.push(`${where}${line(`/${name}/tls`)}: ${name}.tls needs certFile and keyFile, or neither`);
  if (problems.length === 0)
    for (const [g, gate] of config.checks.gates.entries())
      if (config.checks.gates.findIndex((other) => other.name === gate.name) < g)
        problems.push(`${where}${line(`/checks/gates/${g}`)}: checks.gates.${g}: ${gate.name} is there twice`);
  if (problems.length === 0)
    for (const [p, port] of config.serial.ports.entries()) {
      const places = [port.path !== '', port.usb !== undefined, port.tcp !== ''].filter((given) => given).length;
      if (places !== 1)
        problems.push(`${where}${line(`/serial/ports/${p}`)}: serial.ports.${p} needs one of path, usb and tcp`);
      for (const [d, device] of port.devices.entries())
        if (device.did === '' && device.sub === '')
          problems.push(
            `${where}${line(`/serial/ports/${p}/devices/${d}`)}: serial.ports.${p}.devices.${d} needs did or sub`,
          );
    }
  if (problems.length > 0) throw new EdgeError('CONFIG_INVALID', problems.join('; '));
  PLACES.set(config, { where, line });
  return config;
}
