/** From envelopes to tokens: a gateway with a chain of its own, its certificates minted, claimed, withdrawn. */
import { describe, expect, it } from 'vitest';
import { monthInHurry } from '../../edge/credits/rec/rec.ts';
import { HOUR } from '../../edge/wire/boundary.ts';
import { until } from '../support/temp.ts';
import { START, startMinting, TestPlant } from './rig-gateway.ts';

describe('the alarm of the 90 days', { timeout: 60_000 }, () => {
  it('is raised for energy that nobody has applied for, and is over when it is claimed', async () => {
    const gateway = await startMinting({ credits: { recAlarmDays: 90 } });
    const crediting = gateway.parts.crediting;
    const hurry = monthInHurry(Math.floor(Date.now() / 1000), 90);
    if (!crediting || !hurry) return expect.fail('no crediting, or no month');
    expect(crediting.recAlarm()).toBeUndefined();
    const plant = await TestPlant.at(gateway);
    const hour = (hurry.from - START) / HOUR + 100;
    await plant.read([hour, 1000], [hour + 1, 3500]);
    await until(() => crediting.summary().certificates === 1, 'it is minted');
    expect(crediting.recAlarm()).toContain(`RECs of ${hurry.month} can be applied for until ${hurry.due.applyBy}`);
    expect(crediting.recAlarm()).toContain('2500 Wh of 1 metering point are not claimed');
    const id = crediting.rows.list({ limit: 1 })[0]?.id;
    const body = { purpose: 'rec-application', recipient: '2026-1' };
    expect((await gateway.api(`/certificates/${id}/claim`, { method: 'POST', body })).status).toBe(200);
    await until(() => crediting.recAlarm() === undefined, 'it is claimed');
    await gateway.finish();
  });
});

describe('certificates on the chain', { timeout: 60_000 }, () => {
  it('are minted to the credits account, hour by hour, and claimed over the API', async () => {
    const gateway = await startMinting();
    const plant = await TestPlant.at(gateway);
    await plant.read([0, 1000], [1, 1500, 12], [2, 4000, -9], [3, 4100]);
    const crediting = gateway.parts.crediting;
    if (!crediting) return expect.fail('no crediting');
    await until(() => crediting.summary().certificates === 3, 'three are minted');
    expect(crediting.summary()).toEqual({ certificates: 3, mintedWh: 3100, refusedMints: 0 });
    const list = (await gateway.api('/certificates')).body as {
      certificates: { id: string; wh: number; state: string }[];
    };
    expect(list.certificates.map(({ wh, state }) => [wh, state])).toEqual([
      [500, 'minted'],
      [2500, 'minted'],
      [100, 'minted'],
    ]);
    const id = list.certificates[1]?.id;
    const claimed = await gateway.api(`/certificates/${id}/claim`, {
      method: 'POST',
      body: { wh: 400, purpose: 'k-re100', beneficiary: 'Sejong Steel' },
    });
    expect(claimed.status, claimed.text).toBe(200);
    await until(() => crediting.rows.counts().claimedWh === 400, 'the claim is followed');
    expect(gateway.lines.filter((l) => !l.startsWith('chain: anvil'))).toEqual([]);
    await gateway.finish();
  });
});
