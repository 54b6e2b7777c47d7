/** A gateway of which every part has something to say in /metrics. */
import { join } from 'node:path';
import type { Config } from '../../edge/config.ts';
import { encodeVerifierKey } from '../../edge/log/checkpoint.ts';
import { publicKeyOf } from '../../edge/wire/ed25519.ts';
import { Link, offerBundle } from '../checks/gateway.ts';
import { GATES, TestCity, TestVehicle } from '../checks/rig.ts';
import { startMinting, TestPlant } from '../credits/rig-gateway.ts';
import { TestDevice } from '../support/gateway.ts';
import { TestCa, writePair } from '../support/pki.ts';
import { tempFolder, until } from '../support/temp.ts';
import { PlainLog } from '../witness/rig.ts';

/** @returns what GET /metrics says once a certificate is minted, a vehicle has passed, and an envelope was refused */
export async function realMetrics(): Promise<string> {
  const city = new TestCity();
  const files = tempFolder();
  const pair = writePair(files, await (await TestCa.make()).issue());
  const key = encodeVerifierKey('witness.example', publicKeyOf(new Uint8Array(32).fill(9)), 'witness');
  const nobody = { url: 'http://127.0.0.1:1', key };
  const gateway = await startMinting({
    checks: { cityDid: city.did, gates: GATES as Config['checks']['gates'] },
    mqtt: { tls: { ...pair, host: '127.0.0.1', port: 0 } },
    log: { witnesses: [nobody] as Config['log']['witnesses'], quorum: 1 },
    witness: { logs: [{ key: new PlainLog('other').key }] as Config['witness']['logs'] },
    serial: {
      ports: [
        {
          path: join(files, 'tty'),
          devices: [{ sub: 'urn:sejong:mp:serial', profile: 'meter-p1' }],
        },
      ] as Config['serial']['ports'],
    },
  });
  const plant = await TestPlant.at(gateway, 'school-roof', { capacityW: 3000 });
  await plant.read([0, 0], [1, 700], [2, 1500]);
  const { status, text } = await offerBundle(gateway, city.bundle([gateway.info.did], Date.now()));
  if (status !== 200) throw new Error(text);
  await (await Link.open(gateway, new TestVehicle(city, 'good', Date.now()))).pass();
  const device = await new TestDevice('refused').enrol(gateway);
  await gateway.parts.accept.offer(Buffer.from('{}'), { did: device.did, topic: `up/${device.did}/cose` });
  const metrics = async (): Promise<string> => (await fetch(`${gateway.info.http}/metrics`)).text();
  await until(
    async () => /^sejong_edge_certificates\{state="minted"\} 2$/m.test(await metrics()),
    'two hours are minted',
  );
  return metrics();
}
