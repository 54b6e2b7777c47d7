/** A gateway with a chain of its own on which certificates are minted at once, and plants that fill hours. */

import { HOUR } from '../../edge/wire/boundary.ts';
import type { KeyType } from '../../edge/wire/keys.ts';
import type { TestGateway } from '../support/gateway.ts';
import { startTestGateway, TestDevice } from '../support/gateway.ts';

/** A day that is over, 03:00Z. */
export const START = Math.floor(Date.now() / 86_400_000) * 86_400 - 86_400 + 3 * HOUR;

export const startMinting = (more: Parameters<typeof startTestGateway>[0] = {}): Promise<TestGateway> =>
  startTestGateway({
    clock: { source: 'synced' },
    ...more,
    chain: { mode: 'embedded', everySeconds: 0.1, pollSeconds: 0.1, confirmations: 1, ...more.chain },
    credits: { everySeconds: 0.1, ...more.credits },
  });

export type Reading = [hour: number, wh: number, secondsOff?: number];

export class TestPlant extends TestDevice {
  readonly gateway: TestGateway;

  private constructor(gateway: TestGateway, name: string, kind: string, keyType: KeyType) {
    super(name, kind, keyType);
    this.gateway = gateway;
  }

  static async at(
    gateway: TestGateway,
    name = 'roof',
    more: {
      capacityW?: number;
      kind?: string;
      keyType?: KeyType;
      registerModulusWh?: number;
      owner?: string;
      sub?: string;
    } = {},
  ): Promise<TestPlant> {
    const { kind = 'plant', keyType = 'Ed25519', sub, ...rest } = more;
    const plant = new TestPlant(gateway, name, kind, keyType);
    if (sub !== undefined) (plant as { sub: string }).sub = sub;
    const enrolled = { did: plant.did, sub: plant.sub, kind, custody: 'device', energySource: 'solar' } as const;
    await gateway.parts.devices.enrol({ capacityW: 10_000, ...enrolled, ...rest }, Date.now());
    return plant;
  }

  /** Readings of the register, in hours after START, and seconds off the hour. Answers the indexes of their entries. */
  async read(...readings: Reading[]): Promise<number[]> {
    return this.send(
      readings.map(([hour, wh, off = 0]) =>
        this.envelope({ iat: START + hour * HOUR + off, records: [{ n: '1-0:2.8.0', u: 'Wh', v: wh }] }),
      ),
    );
  }

  async send(envelopes: readonly Uint8Array[]): Promise<number[]> {
    const source = { did: this.did, topic: `up/${this.did}/cose` };
    const indexes: number[] = [];
    for (const bytes of envelopes) {
      const outcome = await this.gateway.parts.accept.offer(bytes, source);
      if (outcome.kind === 'quarantined') throw new Error(`${outcome.code}: ${outcome.detail}`);
      indexes.push(outcome.index);
    }
    return indexes;
  }
}
