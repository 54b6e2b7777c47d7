/** A gateway with all that the pages of credits, checks, quarantine and people show: real readings, a real chain. */
import type { CertificateRowView } from '../../edge/api/credit-views.ts';
import type { Config } from '../../edge/config.ts';
import { Link, offerBundle } from '../checks/gateway.ts';
import { GATES, TestCity, TestVehicle } from '../checks/rig.ts';
import { START, startMinting, TestPlant } from '../credits/rig-gateway.ts';
import { TestDevice } from '../support/gateway.ts';
import { until } from '../support/temp.ts';

/** Registers of a sunny day, from 09:00 to 21:00 of Korean time, in hours after START. */
const DAY = [0, 300, 1200, 2900, 5100, 7600, 9900, 11_700, 12_800, 13_300];

export async function startWork() {
  const city = new TestCity();
  const gateway = await startMinting({
    checks: { cityDid: city.did, gates: GATES as Config['checks']['gates'] },
  });
  const plant = await TestPlant.at(gateway, 'school-roof', { capacityW: 3000 });
  const other = await TestPlant.at(gateway, 'library-roof', { capacityW: 500 });
  const third = await TestPlant.at(gateway, 'gap', { capacityW: 3000 });
  await plant.read(...DAY.map((wh, hour): [number, number] => [hour - 3, 50_000 + wh]));
  // More than it can give in its second hour, and a register that stands still.
  await other.read([0, 100], [1, 400], [2, 2000], [3, 2000], [4, 2100]);
  await third.read([0, 0], [1, 700], [4, 3100], [5, 3900]);
  const { status, text } = await offerBundle(gateway, city.bundle([gateway.info.did], Date.now()));
  if (status !== 200) throw new Error(text);
  // Vehicles: good, of no use here, and one that is somewhere else.
  const now = Date.now();
  const good = new TestVehicle(city, 'good', now, { registration: 'good' });
  const link = await Link.open(gateway, good);
  await link.pass();
  const expired = await Link.open(
    gateway,
    new TestVehicle(city, 'expired', now, { credential: { fromMs: now - 7_200_000, untilMs: now - 3_600_000 } }),
  );
  await expired.pass();
  const far = new TestVehicle(city, 'far', now, { registration: 'far' });
  await (await Link.open(gateway, far)).pass('north', {
    telemetry: far.telemetry(Date.now(), { at: { lat: 36.3, lon: 127.1 } }),
  });
  // Refused: of a suspended device, of another key, and no envelope at all.
  const device = await new TestDevice('refused').enrol(gateway);
  const offer = (bytes: Uint8Array) =>
    gateway.parts.accept.offer(bytes, { did: device.did, topic: `up/${device.did}/cose` });
  await gateway.parts.devices.setStatus(device.did, 'suspended', Date.now());
  await offer(device.envelope({ iat: Math.floor(now / 1000) }));
  await gateway.parts.devices.setStatus(device.did, 'active', Date.now());
  await offer(device.envelope({ iat: Math.floor(now / 1000), secretKey: new Uint8Array(32).fill(7) }));
  await offer(device.envelope().subarray(0, 150));
  await offer(Buffer.from('{"temperature": 21.5}'));
  let certificate = '';
  await until(async () => {
    const { body } = await gateway.api(`/certificates?meteringPoint=${plant.sub}`);
    const { certificates } = body as { certificates: CertificateRowView[] };
    certificate = certificates.find(({ wh }) => wh === 2500)?.id ?? '';
    return certificates.filter(({ state }) => state === 'minted').length === DAY.length - 1;
  }, 'all hours of the plant minted');
  /** Of Korean time. */
  const day = new Date(START * 1000 + 9 * 3_600_000).toISOString().slice(0, 10);
  return { gateway, city, plant, other, link, good, device, certificate, day, offer };
}
