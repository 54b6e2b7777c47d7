import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Enrolment } from '../../firmware-sim/device.ts';
import { GatewayApi } from '../../firmware-sim/gateway-api.ts';

async function serve(
  handler: (request: IncomingMessage, body: string, response: ServerResponse) => void,
  port = 0,
): Promise<number> {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    handler(request, body, response);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as { port: number }).port;
}

const never = new AbortController().signal;
const device = (n: number): Enrolment => ({
  did: `did:key:z${n}`,
  kind: 'meter',
  custody: 'device',
  sub: `urn:x:${n}`,
  label: `meter ${n}`,
});
const problem = (response: ServerResponse, status: number, code: string): void => {
  response.writeHead(status, { 'content-type': 'application/problem+json' });
  response.end(JSON.stringify({ title: 't', status, code, detail: 'the detail', todo: 'Do this.' }));
};

describe('the API of the gateway, as a device uses it', () => {
  it("takes the gateway's name from its health, whatever the log is called by now", async () => {
    const health = JSON.stringify({
      origin: 'sejong.example/edge-1',
      log: 'sejong.example/edge-1/2/9-0011223344556677',
    });
    const port = await serve((_, __, response) => response.end(health));
    const api = new GatewayApi(`http://127.0.0.1:${port}/`, undefined, never, () => {});
    expect(await api.origin()).toBe('sejong.example/edge-1');
  });

  it('waits politely for a gateway that is not there yet, and says so once', async () => {
    const port = await serve((_, __, response) => response.end('x'));
    const said: string[] = [];
    // Nothing listens there until the third attempt is reported or made.
    let tries = 0;
    const later = await serve((_, __, response) => {
      tries++;
      if (tries < 3) problem(response, 503, 'STORE_UNAVAILABLE');
      else response.end('{"origin":"o"}');
    });
    expect(port).not.toBe(later);
    const api = new GatewayApi(`http://127.0.0.1:${later}`, undefined, never, (line) => said.push(line));
    expect(await api.origin()).toBe('o');
    expect(said).toEqual([`waiting for http://127.0.0.1:${later}: 503 STORE_UNAVAILABLE`]);
  });

  it('gives up waiting when the run is stopped', async () => {
    const stop = new AbortController();
    const api = new GatewayApi('http://127.0.0.1:1', undefined, stop.signal, () => stop.abort());
    await expect(api.origin()).rejects.toThrow(/abort/i);
  });

  it('enrols each device once, and is content with those that are enrolled', async () => {
    const bodies: unknown[] = [];
    const port = await serve((request, body, response) => {
      expect(request.headers.authorization).toBe('Bearer secret');
      bodies.push(JSON.parse(body));
      if (bodies.length % 2 === 0) problem(response, 409, 'DEVICE_EXISTS');
      else response.writeHead(201).end('{}');
    });
    const api = new GatewayApi(`http://127.0.0.1:${port}`, 'secret', never, () => {});
    const devices = Array.from({ length: 20 }, (_, i) => device(i));
    await api.enrol(devices);
    expect(bodies.length).toBe(20);
    expect(bodies).toEqual(expect.arrayContaining(devices));
  });

  it('ends with one clear line where waiting cannot help, without the token in it', async () => {
    const port = await serve((_, __, response) => problem(response, 401, 'TOKEN_INVALID'));
    const api = new GatewayApi(`http://127.0.0.1:${port}`, 'secret-token', never, () => {});
    const error: Error = await api.enrol([device(1)]).then(
      () => expect.fail(),
      (e: Error) => e,
    );
    expect(error.message).toBe('enrolling meter 1 failed: 401 TOKEN_INVALID: the detail. Do this.');
    const other = await serve((_, __, response) => response.end('<html>'));
    await expect(new GatewayApi(`http://127.0.0.1:${other}`, undefined, never, () => {}).origin()).rejects.toThrow(
      /is this the API of a gateway/,
    );
  });
});
