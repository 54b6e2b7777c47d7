/**
 * What is allowed, by the key of the config that says so, and how often each was reached: the first thing to look at
 * when a device complains and nothing looks wrong.
 */

export const CAPS = [
  'mqtt.maxConnections',
  'mqtt.maxConnectionsPerUser',
  'mqtt.connectTimeoutSeconds',
  'mqtt.maxKeepAliveSeconds',
  'mqtt.maxConnectBytes',
  'mqtt.maxPacketBytes',
  'mqtt.maxTopicLevels',
  'mqtt.maxPacketsBeforeLogin',
  'mqtt.maxInflight',
  'mqtt.maxUnreadBytes',
  'mqtt.maxDeviceRate',
  'mqtt.maxLoginsAtOnce',
  'mqtt.maxFailedLogins',
  'http.maxEventStreams',
  'checks.maxSessions',
  'checks.maxWaiting',
  'checks.maxRefusals',
  'checks.maxRate',
  'checks.maxStrangers',
  'checks.maxStrangerLogins',
  'http.maxFailedLogins',
  'chain.maxCreditEvents',
  'intake.maxPendingBytes',
  'intake.maxPendingBytesPerDevice',
  'intake.maxQuarantine',
  'intake.maxQuarantinePerDevice',
  'chain.maxRegistryEvents',
  'alarms.maxOpen',
] as const;
export type Cap = (typeof CAPS)[number];

export class Caps {
  readonly #hits = new Map<Cap, number>(CAPS.map((cap) => [cap, 0]));

  hit(cap: Cap): void {
    this.#hits.set(cap, (this.#hits.get(cap) ?? 0) + 1);
  }

  /** Since start. */
  hits(cap: Cap): number {
    return this.#hits.get(cap) ?? 0;
  }

  [Symbol.iterator](): IterableIterator<[Cap, number]> {
    return this.#hits.entries();
  }
}
