import { Agent, request } from 'node:https';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startTestGateway, TestDevice } from '../support/gateway.ts';
import { TestCa, writePair } from '../support/pki.ts';
import { tempFolder, until } from '../support/temp.ts';

type Options = { ca: string; cert?: string; key?: string; token?: string };

/** One request on a connection of its own; `take` ends it after so many bytes. */
function get(url: string, { token, ...tls }: Options, take = Number.POSITIVE_INFINITY): Promise<[number, string]> {
  const agent = new Agent({ keepAlive: false });
  onTestFinished(() => agent.destroy());
  return new Promise((resolve, reject) => {
    request(url, { agent, ...tls, headers: token ? { authorization: `Bearer ${token}` } : {} }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.length >= take) {
          resolve([answer.statusCode as number, text]);
          answer.destroy();
        }
      });
      answer.on('end', () => resolve([answer.statusCode as number, text]));
    })
      .on('error', reject)
      .end();
  });
}

describe('HTTP over TLS', () => {
  it('answers as the plain listener does, events too, and shows a renewed certificate', async () => {
    const ca = await TestCa.make();
    const folder = tempFolder();
    const tls = { ...writePair(folder, await ca.issue()), host: '127.0.0.1', port: 0 };
    const gateway = await startTestGateway({ http: { tls } });
    const { https = '', http } = gateway.info;
    const token = await gateway.token('viewer');
    const [status, text] = await get(`${https}/devices`, { ca: ca.pem, token });
    expect([status, text]).toEqual([200, await (await gateway.api('/devices')).text]);
    expect((await get(`${https}/devices`, { ca: ca.pem }))[0]).toBe(401);
    expect((await get(`${https}/nothing`, { ca: ca.pem }))[0]).toBe(404);
    await expect(get(`${https}/health`, { ca: (await TestCa.make()).pem })).rejects.toThrow();
    await expect(fetch(`${https.replace('https', 'http')}/health`)).rejects.toThrow();
    expect((await fetch(`${http}/health`)).status).toBe(200);

    const events = get(`${https}/events`, { ca: ca.pem, token }, 10);
    const device = await new TestDevice('https').enrol(gateway);
    const client = await device.connect(gateway);
    await device.publish(client, device.envelope());
    expect((await events)[1]).toContain('id: ');

    const next = await TestCa.make('next');
    writePair(folder, await next.issue());
    await until(
      () =>
        get(`${https}/health`, { ca: next.pem }).then(
          () => true,
          () => false,
        ),
      'the new certificate is shown',
    );
    await gateway.finish();
  });

  it('with a CA for clients serves only those that have its certificates, who need their tokens all the same', async () => {
    const ca = await TestCa.make();
    const tls = { ...writePair(tempFolder(), await ca.issue(), ca.pem), host: '127.0.0.1', port: 0 };
    const gateway = await startTestGateway({ http: { tls } });
    const url = `${gateway.info.https}/devices`;
    const mine = await ca.issue({ client: true });
    const token = await gateway.token('viewer');
    expect((await get(url, { ca: ca.pem, ...mine, token }))[0]).toBe(200);
    expect((await get(url, { ca: ca.pem, ...mine }))[0]).toBe(401);
    await expect(get(url, { ca: ca.pem, token })).rejects.toThrow();
    const foreign = await (await TestCa.make('foreign')).issue({ client: true });
    await expect(get(url, { ca: ca.pem, ...foreign, token })).rejects.toThrow();
    await gateway.finish();
  });
});
