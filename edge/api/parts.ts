/** What the API needs of the gateway, handed in by it; the API imports none of its siblings. */
import type { Checkpointer } from '../log/checkpointer.ts';
import type { Log } from '../log/log.ts';
import type { AnchorHint, Receipt } from '../log/receipt.ts';
import type { AlarmRow, AlarmRows } from '../store/alarms.ts';
import type { Audits } from '../store/audit.ts';
import type { CheckRow, Checks } from '../store/checks.ts';
import type { Range } from '../store/counters.ts';
import type { Device, DeviceStatus, Devices } from '../store/devices.ts';
import type { Entries } from '../store/entries.ts';
import type { Gaps } from '../store/gaps.ts';
import type { LateEntries } from '../store/late.ts';
import type { Quarantine } from '../store/quarantine.ts';
import type { Successions } from '../store/successions.ts';
import type { IssuedToken, IssuedTokens } from '../store/tokens.ts';
import type { Issued, Person, Role, Tokens } from '../tokens.ts';
import type { SubjectView, Verdict } from './care-views.ts';
import type { AskedView, CityBundleView, GateView } from './check-views.ts';
import type { ConfigParts } from './config.ts';
import type { CreditsParts } from './credits-parts.ts';
import type {
  AnchorView,
  CallView,
  ChainView,
  ClaimView,
  EvidenceView,
  ExpectedView,
  ForgottenView,
  HealthView,
  NewDeviceView,
  ProfileView,
  RegistryView,
  RekeyView,
  SwapView,
  WitnessesView,
} from './views.ts';

import type { VitalView } from './vitals.ts';

/**
 * A number to be shown at /metrics, with the labels that tell it from others of its name. Those of a histogram have names
 * that end in _bucket (with the label le), _sum and _count, and come in this order.
 */
export type Sample = {
  name: string;
  help: string;
  type: 'counter' | 'gauge' | 'histogram';
  value: number;
  labels?: Record<string, string>;
};

export type ChecksParts = {
  rows: Checks;
  /** @throws EdgeError CHECKS_OFF, GATE_UNKNOWN, NO_BUNDLE, CHECKS_BUSY, CHECK_TIMEOUT */
  ask: (asked: AskedView & { timeoutMs: number; recentMs: number }, left: AbortSignal) => Promise<CheckRow>;
  /** Empty where no vehicles are checked. */
  gates: () => GateView[];
  bundle: () => { bundle: CityBundleView | null; problem: string | null };
  /** @throws EdgeError CHECKS_OFF, CITY_BUNDLE_INVALID, BUNDLE_ROLLBACK, BUNDLE_CONFLICT, STORE_UNAVAILABLE */
  offerBundle: (bytes: Uint8Array, by: Person) => Promise<CityBundleView>;
};

export type ApiParts = {
  /** Undefined where the gateway was started without a config file. */
  config?: ConfigParts | undefined;
  log: Log;
  checkpointer: Checkpointer;
  entries: Entries;
  devices: Devices;
  quarantine: Quarantine;
  gaps: Gaps;
  late: LateEntries;
  checks: ChecksParts;
  /** Undefined where this gateway follows no Credits contract. */
  credits?: CreditsParts | undefined;
  /** JSON Schema of a certificate (credits/certificate.ts), which is published whether or not there are any. */
  certificateSchema: object;
  /** What the city's registry says of a device; undefined where there is none. */
  registration: (device: Device) => RegistryView | undefined;
  tokens: Tokens;
  issued: IssuedTokens;
  audits: Audits;
  people: {
    makeToken: (wanted: { name: string; role: Role }, seconds: number, by: Person) => Promise<Issued>;
    revokeToken: (id: string, by: Person) => Promise<IssuedToken>;
  };
  /** One-time codes for the console: made, and changed for a token. */
  sessions: {
    makeCode: (wanted: { name: string; role: Role; seconds: number; by: Person }) => {
      code: string;
      expiresMs: number;
    };
    /** @throws EdgeError SIGN_IN_INVALID, TOKENS_FULL, STORE_UNAVAILABLE */
    open: (code: string) => Promise<Issued>;
  };
  /** Refused envelopes: offered again, which answers the index, or taken away. */
  review: {
    /** @param reason why, in the words of who decides: it goes into the audit */
    release: (id: number, by: Person, reason?: string) => Promise<number>;
    drop: (id: number, by: Person, reason?: string) => Promise<void>;
  };
  /** Self-enrolment with a code. */
  claiming: {
    list: (limit: number) => ClaimView[];
    make: (expected: ExpectedView, seconds: number, by: Person) => Promise<ClaimView & { code: string }>;
    prove: (id: string, did: string, proof: string) => Promise<ClaimView>;
    confirm: (id: string, fingerprint: string, by: Person) => Promise<Device>;
    drop: (id: string, by: Person) => Promise<ClaimView>;
  };
  /** People who have asked to be looked after. */
  care: {
    list: () => Promise<SubjectView[]>;
    begin: (did: string, consent: string, untilMs: number | null, by: Person) => Promise<SubjectView>;
    decide: (did: string, decision: Verdict, note: string, by: Person) => Promise<SubjectView>;
    withdraw: (did: string, by: Person) => Promise<void>;
  };
  /** Failed logins by address: whether there were too many, and one more. */
  failures: { tooMany: (address: string) => boolean; one: (address: string) => void };
  profiles: {
    kinds: () => string[];
    list: () => ProfileView[];
    /** @throws EdgeError PROFILE_UNKNOWN */
    get: (name: string) => ProfileView;
  };
  /** Entries whose contents were destroyed since start. */
  forgetting: { readonly count: number };
  alarms: {
    rows: AlarmRows;
    open: () => number;
    isSilent: (device: Device) => boolean;
    /** A person says that it is over. @throws EdgeError NOT_FOUND, ALARM_STATE, STORE_UNAVAILABLE */
    clear: (id: number, by: Person) => Promise<AlarmRow>;
  };
  vitals: { everyMs: number; list: (afterMs: number) => VitalView[] };
  health: () => HealthView;
  samples: () => Sample[];
  /** The folder of the console's files, which are made now where they are not there. @throws EdgeError CONSOLE_BUILD */
  console: () => Promise<string>;
  /** The secret is there once, for custody gateway. */
  enrol: (device: NewDeviceView, by: Person) => Promise<{ device: Device; secret?: string }>;
  setStatus: (did: string, status: DeviceStatus, replacedBy: string | null, by: Person) => Promise<Device>;
  replace: (did: string, swap: SwapView, by: Person) => Promise<Device>;
  rekey: (did: string, rekey: RekeyView, by: Person) => Promise<{ device: Device; secret?: string }>;
  successions: Successions;
  /** Answers the index of the entry that says so. @throws EdgeError GAP_NOT_OPEN, STORE_UNAVAILABLE */
  declareLost: (device: Device, range: Range, by: Person) => Promise<number>;
  /** Destroys what is kept of a DID or URN. */
  forget: (subject: string, by: Person) => Promise<Omit<ForgottenView, 'salt'> & { salt: Uint8Array | null }>;
  anchors: (limit: number, before: number) => AnchorView[];
  /** Where they are, null without a chain. */
  anchorsPlace: () => ChainView['chain'];
  /** The policy, and how each witness of ours stands to it; counts cosignatures by them alone. */
  witnesses: { view: () => WitnessesView; cosigned: (size: number) => number };
  /** This gateway as a witness: signature lines, or the size that the proof must go out from. */
  witness: {
    verifierKey: string;
    addCheckpoint: (body: Uint8Array) => Promise<{ cosigned: string } | { held: number }>;
    evidence: (limit: number, before: number) => EvidenceView[];
  };
  /** The smallest anchored tree that covers an index, and where it stands. */
  anchorCovering: (index: number) => { size: number; hint: AnchorHint } | undefined;
  /** A receipt under an anchored root of `size` entries, as a call of the contract. */
  entryCall: (size: number, receipt: Receipt & { anchor: AnchorHint }) => CallView;
};
