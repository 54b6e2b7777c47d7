import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { describe, expect, it, onTestFinished } from 'vitest';
import { edge, start } from '../support/cli.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { type Issued, TestCa, writePair } from '../support/pki.ts';
import { tempFolder, until } from '../support/temp.ts';

const HOST = '127.0.0.1';
const portOf = (url: string | undefined): number => Number(new URL(url as string).port);

async function startTls(pair: Issued, clients?: string) {
  const folder = tempFolder();
  const tls = { ...writePair(folder, pair, clients), host: HOST, port: 0 };
  const gateway = await startTestGateway({ mqtt: { tls }, clock: { source: 'synced' } });
  return { gateway, folder, port: portOf(gateway.info.mqtts) };
}

/** Rejects as soon as the connection has ended; connectAsync waits for a CONNACK that never comes. */
function open(url: string, options: IClientOptions = {}): Promise<MqttClient> {
  const client = mqtt.connect(url, {
    reconnectPeriod: 0,
    protocolVersion: 4,
    clientId: `t${Math.random()}`,
    ...options,
  });
  onTestFinished(() => void client.end(true));
  return new Promise((resolve, reject) => {
    client.once('connect', () => resolve(client));
    client.on('error', reject);
    client.once('close', () => reject(new Error('closed')));
  });
}

const login = (gateway: TestGateway, options: IClientOptions): Promise<MqttClient> =>
  open(gateway.info.mqtts as string, options);

/** The serial number that the listener shows now. */
async function shown(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({ host: HOST, port, ...options });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

describe('MQTT over TLS', () => {
  it('takes what plain MQTT takes, in TLS 1.2 and 1.3, and nothing older or weaker', async () => {
    const ca = await TestCa.make();
    const { gateway, port } = await startTls(await ca.issue());
    const device = await new TestDevice('tls').enrol(gateway);
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const password = device.jwt(gateway.info.origin);
      const client = await login(gateway, {
        ca: ca.pem,
        username: device.did,
        password,
        ...{ minVersion: version, maxVersion: version },
      });
      await device.publish(client, device.envelope());
    }
    expect((await shown(port, { ca: ca.pem })).getProtocol()).toBe('TLSv1.3');
    for (const options of [
      { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' },
    ] as const)
      await expect(shown(port, { ca: ca.pem, ...options })).rejects.toThrow();
    // A client that pins another CA does not speak to us, and plain text gets nothing.
    await expect(shown(port, { ca: (await TestCa.make('no CA of ours')).pem })).rejects.toThrow(/unable to/);
    await expect(open(`mqtt://${HOST}:${port}`)).rejects.toThrow();
    await until(() => gateway.parts.mqtt.counts.handshakesFailed >= 3, 'they are counted');
    expect((await gateway.finish()).entries).toBe(3);
  });

  it('logs a device in by the did:key URI in its certificate, where it is enrolled, and by nothing less', async () => {
    const ca = await TestCa.make();
    const { gateway } = await startTls(await ca.issue(), ca.pem);
    const device = await new TestDevice('certified').enrol(gateway);
    const other = await new TestDevice('other').enrol(gateway);
    const stranger = new TestDevice('stranger');
    const mine = await ca.issue({ dids: [device.did] });
    const attempt = (options: IClientOptions) => login(gateway, { ca: ca.pem, ...options });

    for (const username of [undefined, device.did]) {
      const client = await attempt({ ...mine, ...(username ? { username } : {}) });
      await device.publish(client, device.envelope());
      await client.endAsync();
    }
    // The token is good with the certificate, and without one.
    await (await attempt({ ...mine, username: device.did, password: device.jwt(gateway.info.origin) })).endAsync();
    await (await attempt({ username: device.did, password: device.jwt(gateway.info.origin) })).endAsync();

    const foreign = await TestCa.make('another CA');
    const operator = await gateway.token('operator');
    const refused: [string, IClientOptions, RegExp][] = [
      ['not enrolled', await ca.issue({ dids: [stranger.did] }), /is not enrolled/],
      ["another's name", { ...mine, username: other.did }, /came with the certificate of/],
      [
        "another's name and its token",
        { ...mine, username: other.did, password: other.jwt(gateway.info.origin) },
        /came with the certificate of/,
      ],
      ["a person's token", { ...mine, username: 'operator', password: operator }, /came with the certificate of/],
      ['a wrong token', { ...mine, username: device.did, password: 'x' }, /token of/],
      ['another CA', await foreign.issue({ dids: [device.did] }), /a client certificate that is not good/],
      ['expired', await ca.issue({ dids: [device.did], days: -1 }), /CERT_HAS_EXPIRED/],
      ['for servers', await ca.issue({ dids: [device.did], client: false }), /INVALID_PURPOSE/],
      ['no DID in it', await ca.issue({ client: true }), /0 did:key URIs/],
      ['two DIDs in it', await ca.issue({ dids: [device.did, other.did] }), /2 did:key URIs/],
      ['the gateway itself', await ca.issue({ dids: [gateway.info.did] }), /is the gateway itself/],
      ['no certificate, no password', { username: device.did }, /gave no password/],
    ];
    for (const [why, options, line] of refused) {
      const said = gateway.lines.length;
      await expect(attempt(options), why).rejects.toThrow();
      await until(() => gateway.lines.slice(said).some((l) => line.test(l)), `${why}: ${line}`);
    }
    await gateway.api(`/devices/${device.did}/suspend`, { method: 'POST' });
    await expect(attempt(mine)).rejects.toThrow();
    // It may do what a device may, in its own name.
    await gateway.api(`/devices/${device.did}/resume`, { method: 'POST' });
    const client = await attempt(mine);
    const closed = new Promise((resolve) => client.once('close', () => resolve(undefined)));
    client.publish(`up/${other.did}/cose`, Buffer.from(other.envelope()), { qos: 1 });
    await closed;
    expect((await gateway.finish()).entries).toBe(5);
  });

  it('shares the cap on connections with plain MQTT', async () => {
    const ca = await TestCa.make();
    const folder = tempFolder();
    const tls = { ...writePair(folder, await ca.issue()), host: HOST, port: 0 };
    const gateway = await startTestGateway({ mqtt: { tls, maxConnections: 2 } });
    const device = await new TestDevice('shared').enrol(gateway);
    const first = await device.connect(gateway);
    const password = device.jwt(gateway.info.origin);
    await login(gateway, { ca: ca.pem, username: device.did, password });
    await expect(login(gateway, { ca: ca.pem, username: device.did, password })).rejects.toThrow();
    await expect(open(gateway.info.mqtt, { username: device.did, password })).rejects.toThrow();
    expect(gateway.parts.caps.hits('mqtt.maxConnections')).toBe(2);
    await first.endAsync();
    await until(() => gateway.parts.mqtt.connected === 1, 'its place is free');
    await login(gateway, { ca: ca.pem, username: device.did, password });
    await gateway.finish();
  });
});

describe('a certificate', () => {
  const expiry = async (gateway: TestGateway): Promise<number> =>
    Number(
      /^sejong_edge_certificate_expires_seconds\{listener="mqtt"\} (\d+)$/m.exec(
        (await gateway.api('/metrics')).text,
      )?.[1],
    );

  it('that was renewed is in use without a restart; connections stay; a bad one changes nothing and is an alarm', async () => {
    const ca = await TestCa.make();
    const first = await ca.issue();
    const { gateway, folder, port } = await startTls(first, ca.pem);
    const device = await new TestDevice('renew').enrol(gateway);
    const mine = await ca.issue({ dids: [device.did] });
    const client = await login(gateway, { ca: ca.pem, ...mine });
    const serial = async (): Promise<string> => (await shown(port, { ca: ca.pem })).getPeerCertificate().serialNumber;
    const health = async () =>
      ((await gateway.api('/health')).body as { parts: Record<string, { ok: boolean; detail: string }> }).parts[
        'mqtt tls'
      ];
    const before = await serial();
    const endsFirst = await expiry(gateway);
    expect(await health()).toMatchObject({ ok: true, detail: expect.stringContaining('valid until') });

    // By itself, as the files change.
    writePair(folder, await ca.issue({ days: 200 }));
    await until(async () => (await serial()) !== before, 'the new certificate is shown');
    const second = await serial();
    expect((await expiry(gateway)) - endsFirst).toBeGreaterThan(100 * 86_400);
    await device.publish(client, device.envelope()); // on the connection from before

    const other = await ca.issue();
    const bad: [string, () => void, RegExp][] = [
      ['not its key', () => writePair(folder, { ...other, key: first.key }), /is not the key of/],
      ['no certificate', () => writeFileSync(`${folder}/tls.crt`, 'x'), /0 certificates in PEM/],
      ['a key that others read', () => chmodSync(`${folder}/tls.key`, 0o644), /others can read it/],
    ];
    for (const [why, breakIt, line] of bad) {
      breakIt();
      gateway.reload();
      expect(gateway.lines.at(-1), why).toMatch(line);
      expect(await health(), why).toMatchObject({ ok: false, detail: expect.stringMatching(line) });
      expect(await serial(), why).toBe(second);
    }
    writePair(folder, await ca.issue({ days: -1 }));
    gateway.reload();
    expect(gateway.lines.at(-1)).toMatch(/ended on/);
    expect(((await gateway.api('/health')).body as { status: string }).status).toBe('degraded');
    expect(gateway.lines.filter((line) => line.includes('PRIVATE KEY'))).toEqual([]);

    // Another CA for the clients: the old one counts no more, also for who could resume a session.
    const next = await TestCa.make('the next CA');
    writePair(folder, await ca.issue(), next.pem);
    gateway.reload();
    expect(await health()).toMatchObject({ ok: true });
    expect(await serial()).not.toBe(second);
    await expect(login(gateway, { ca: ca.pem, ...mine })).rejects.toThrow();
    const renewed = await login(gateway, { ca: ca.pem, ...(await next.issue({ dids: [device.did] })) });
    await device.publish(renewed, device.envelope());
    expect((await gateway.finish()).entries).toBe(3);
  });

  it('that ends soon is said in health; one that cannot be used ends the start', async () => {
    const ca = await TestCa.make();
    const { gateway } = await startTls(await ca.issue({ days: 5 }));
    const { parts } = (await gateway.api('/health')).body as { parts: Record<string, { ok: boolean; detail: string }> };
    expect(parts['mqtt tls']).toMatchObject({ ok: false, detail: expect.stringMatching(/: [45] days are left/) });
    await gateway.finish();

    const folder = tempFolder();
    const pair = await ca.issue();
    const files = writePair(folder, pair, ca.pem);
    const begin = (over: object) =>
      startTestGateway({ mqtt: { tls: { ...files, host: HOST, port: 0, ...over } } }).then(
        () => 'started',
        (error: { code?: string }) => error.code,
      );
    expect(await begin({ certFile: `${folder}/none` })).toBe('CERTIFICATE_INVALID');
    expect(await begin({ caFile: files.certFile })).toBe('CERTIFICATE_INVALID'); // no CA
    expect(await begin({ keyFile: files.certFile })).toBe('KEY_UNREADABLE');
    expect(await begin({ keyFile: '' })).toBe('CONFIG_INVALID');
    chmodSync(files.keyFile, 0o640);
    expect(await begin({})).toBe('KEY_UNREADABLE');
  });

  it('is read again on SIGHUP by a gateway that runs', async () => {
    const ca = await TestCa.make();
    const folder = tempFolder();
    const { certFile, keyFile } = writePair(folder, await ca.issue());
    const config = `${folder}/edge.yaml`;
    writeFileSync(
      config,
      `mqtt: {port: 0, tls: {certFile: ${certFile}, keyFile: tls.key, host: ${HOST}, port: 0}}\nhttp: {port: 0}\nchain: {mode: none}\n`,
    );
    expect(keyFile).toBe(`${folder}/tls.key`);
    const checked = await edge(['check-config', config]);
    expect(checked.stdout).toMatch(/^mqtt {6}127\.0\.0\.1:0 over TLS, certificate valid until /m);
    const running = start(process.execPath, ['edge/main.ts', 'run', '--config', config]);
    await running.line(/"msg":"ready"/);
    writeFileSync(certFile, 'x');
    running.child.kill('SIGHUP');
    await running.line(/CERTIFICATE_INVALID.*0 certificates in PEM.*stays in use/);
    expect(await running.stop()).toBe(0);
  });
});
