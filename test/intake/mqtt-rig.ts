/** What the tests of the broker share. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { MqttClient } from 'mqtt';
import { onTestFinished } from 'vitest';
import { openIdentity } from '../../edge/identity.ts';
import { Enrolment } from '../../edge/intake/enrolment.ts';
import { loadProfiles } from '../../edge/profiles/load.ts';
import type { TestGateway } from '../support/gateway.ts';

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The database file as any other program on the machine sees it. */
export function otherConnection(
  gateway: TestGateway,
  options: Database.Options = { readonly: true },
): Database.Database {
  const db = new Database(join(gateway.config.dataFolder, 'edge.db'), options);
  onTestFinished(() => {
    db.close();
  });
  return db;
}

export const metric = async (gateway: TestGateway, line: string): Promise<number | undefined> => {
  const { text } = await gateway.api('/metrics', { token: null });
  const found = text.split('\n').find((l) => l.startsWith(`sejong_edge_${line} `));
  return found === undefined ? undefined : Number(found.split(' ').at(-1));
};

/** Messages that a client gets, one after the other. */
export function inbox(client: MqttClient): () => Promise<{ topic: string; text: string; retain: boolean }> {
  const got: { topic: string; text: string; retain: boolean }[] = [];
  let wake = (): void => undefined;
  client.on('message', (topic, payload, { retain }) => {
    got.push({ topic, text: payload.toString(), retain });
    wake();
  });
  return async () => {
    while (got.length === 0)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    return got.shift() as (typeof got)[number];
  };
}

export type Enrolled = { device: { did: string }; secret: string };
/** Not over the API, which would put an entry about it into the log. */
export const enrolLegacy = async (gateway: TestGateway, sub: string, kind = 'meter'): Promise<Enrolled> => {
  const enrolment = new Enrolment(
    gateway.parts.devices,
    () => openIdentity(gateway.config).makeDeviceKey(),
    loadProfiles(),
  );
  return (await enrolment.enrol({ kind, custody: 'gateway', sub })) as Enrolled;
};
