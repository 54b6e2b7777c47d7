import { join } from 'node:path';
import { expect } from 'vitest';
import { type Config, makeConfig } from '../../edge/config.ts';
import { openIdentity } from '../../edge/identity.ts';
import { encodeVerifierKey, openCheckpoint, parseVerifierKey } from '../../edge/log/checkpoint.ts';
import { publicKeyOf } from '../../edge/wire/ed25519.ts';
import { STILL } from '../chain/rig.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { tempFolder, until } from '../support/temp.ts';
import { checkCosignature } from '../support/whole-truth.ts';
import { WitnessProxy } from './rig.ts';

/** One operator's gateway, on or off, at an address that stays. */
export class Member {
  readonly origin: string;
  readonly dataFolder: string;
  readonly proxy: WitnessProxy;
  readonly logKey: string;
  readonly witnessKey: string;

  private constructor(name: string, proxy: WitnessProxy) {
    this.origin = `sejong.example/${name}`;
    this.dataFolder = join(tempFolder(), 'data');
    this.proxy = proxy;
    const identity = openIdentity(makeConfig({ dataFolder: this.dataFolder }));
    this.logKey = encodeVerifierKey(this.origin, publicKeyOf(identity.logKey));
    this.witnessKey = encodeVerifierKey(`${this.origin}/witness`, publicKeyOf(identity.witnessKey), 'witness');
  }

  static async of(name: string): Promise<Member> {
    return new Member(name, await WitnessProxy.start());
  }

  /** @param witnesses of its log, and whose logs it cosigns */
  async start(
    { witnesses = [], logs = [] }: { witnesses?: Member[]; logs?: Member[] },
    log: Partial<Config['log']> = {},
    dataFolder = this.dataFolder,
  ): Promise<TestGateway> {
    const gateway = await startTestGateway({
      dataFolder,
      log: {
        ...STILL,
        origin: this.origin,
        witnesses: witnesses.map(({ witnessKey, proxy }) => ({ key: witnessKey, url: proxy.url })),
        quorum: witnesses.length,
        witnessTimeoutSeconds: 10,
        witnessRetrySeconds: 0.1,
        ...log,
      },
      witness: { logs: logs.map(({ logKey }) => ({ key: logKey })), maxRate: 1000 },
    });
    this.proxy.target = gateway.info.http;
    return gateway;
  }

  /** Its witness is not to be had any more. */
  async leave(gateway: TestGateway): Promise<void> {
    this.proxy.target = undefined;
    await gateway.finish();
  }
}

export const pair = async (): Promise<[Member, Member]> => [await Member.of('a'), await Member.of('b')];
export const all = (gateway: TestGateway): Promise<void> =>
  until(
    () => {
      const { log, witnesses } = gateway.parts;
      return witnesses.witnessedSize === log.size && !witnesses.unwitnessed;
    },
    `all ${gateway.parts.log.size} entries witnessed: ${JSON.stringify(gateway.parts.witnesses.state())}`,
  );

export type View = {
  quorum: number;
  size: number;
  cosigned: number;
  unwitnessed: boolean;
  witnessedSize: number;
  witnesses: { name: string; reachable: boolean; size: number; problem: string | null }[];
};
export const viewOf = async (gateway: TestGateway): Promise<View> =>
  (await gateway.api('/log/witnesses', { token: null })).body as View;
export const noteOf = async (gateway: TestGateway): Promise<string> =>
  (await gateway.api('/log/checkpoint', { token: null })).text;
export const bodyOf = (note: string): string => note.slice(0, note.indexOf('\n\n') + 1);

/** The newest published checkpoint has its log's signature first, and then one of each witness, by the specification. */
export async function isPublished(gateway: TestGateway, log: Member, witnesses: Member[]): Promise<void> {
  const note = await noteOf(gateway);
  expect(openCheckpoint(note, parseVerifierKey(log.logKey)).size).toBe(gateway.parts.log.size);
  const lines = note.slice(note.indexOf('\n\n') + 2).match(/.*\n/g) as string[];
  expect(lines).toHaveLength(1 + witnesses.length);
  expect(lines[0]).toMatch(new RegExp(`^— ${log.origin} `));
  for (const { witnessKey } of witnesses) {
    const own = lines.find((l) => l.startsWith(`— ${witnessKey.split('+')[0]} `)) as string;
    checkCosignature(own, bodyOf(note), witnessKey);
  }
}
