/** What a device asks of the gateway over HTTP: its origin, and to be enrolled, by a token or by a claim's code. */
import { setTimeout as wait } from 'node:timers/promises';
import { EXPORT_REGISTER } from '../edge/wire/boundary.ts';
import type { Enrolment } from './device.ts';

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5000;
const REQUEST_MS = 10_000;
/** Enrolments under way at one time: each costs the gateway a scalar multiplication and a commit. */
const AT_ONCE = 8;
const MAX_BODY = 64 * 1024;

/** Asks until there is an answer. Trouble that time may cure is reported once, and waited for. */
export class GatewayApi {
  readonly #url: string;
  readonly #token: string | undefined;
  readonly #stop: AbortSignal;
  readonly #report: (line: string) => void;
  #said = '';

  /** @param stop gives up waiting, with an AbortError */
  constructor(url: string, token: string | undefined, stop: AbortSignal, report: (line: string) => void) {
    this.#url = url.replace(/\/+$/, '');
    this.#token = token;
    this.#stop = stop;
    this.#report = report;
  }

  /** The gateway's name. The log's own origin is another one after the gateway lost its database. */
  async origin(): Promise<string> {
    const { status, text } = await this.#ask('/health', {});
    const origin = status === 200 ? originIn(text) : undefined;
    if (origin === undefined)
      throw new Error(`${this.#url}/health answers ${status} and no origin: is this the API of a gateway?`);
    return origin;
  }

  /** One that is enrolled already is fine. */
  async enrol(devices: readonly Enrolment[]): Promise<void> {
    const rest = [...devices];
    const worker = async (): Promise<void> => {
      for (let device = rest.shift(); device; device = rest.shift()) await this.#enrol(device);
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, rest.length) }, worker));
  }

  async #enrol(device: Enrolment): Promise<void> {
    const { status, text } = await this.#ask('/devices', {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      body: JSON.stringify(device),
    });
    if (status === 201) return;
    const { code, detail, todo } = problem(text);
    if (status === 409 && code === 'DEVICE_EXISTS') return;
    throw new Error(`enrolling ${device.label} failed: ${status} ${code}: ${detail}. ${todo}`.trim());
  }

  /**
   * A meter was swapped for another one, which is enrolled for the same metering point; said before is fine.
   * @param finalWh the last register of the old one, and the first of the new one
   */
  async replace(did: string, by: string, finalWh: number, initialWh: number): Promise<void> {
    const path = `/devices/${encodeURIComponent(did)}`;
    const headers = { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' };
    const known = await this.#ask(path, { headers });
    if (known.status === 200 && (JSON.parse(known.text) as { replacedBy: string | null }).replacedBy === by) return;
    const register = (wh: number): object => ({ obis: EXPORT_REGISTER, wh });
    const { status, text } = await this.#ask(`${path}/replace`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ by, finalRegister: register(finalWh), initialRegister: register(initialWh) }),
    });
    if (status === 200) return;
    const { code, detail, todo } = problem(text);
    throw new Error(`replacing ${did} failed: ${status} ${code}: ${detail}. ${todo}`.trim());
  }

  /** Shows a claim's code and a key; the same again asks how it stands. @throws Error where the gateway refuses it */
  async claim(id: string, did: string, proof: string): Promise<{ status: string; kind: string; sub: string }> {
    const { status, text } = await this.#ask(`/claims/${id}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ did, proof }),
    });
    if (status === 202) return JSON.parse(text) as { status: string; kind: string; sub: string };
    const { code, detail, todo } = problem(text);
    throw new Error(`claiming ${id} failed: ${status} ${code}: ${detail}. ${todo}`.trim());
  }

  async #ask(path: string, init: RequestInit): Promise<{ status: number; text: string }> {
    for (let attempt = 0; ; attempt++) {
      let trouble: string;
      try {
        const response = await fetch(this.#url + path, {
          ...init,
          redirect: 'error',
          signal: AbortSignal.any([this.#stop, AbortSignal.timeout(REQUEST_MS)]),
        });
        const text = await bodyOf(response);
        if (response.status < 500 && response.status !== 429) return { status: response.status, text };
        trouble = `${response.status} ${problem(text).code}`;
      } catch (error) {
        this.#stop.throwIfAborted();
        const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
        trouble = cause?.code ?? (error as Error).message;
      }
      if (trouble !== this.#said) this.#report(`waiting for ${this.#url}: ${trouble}`);
      this.#said = trouble;
      await wait(Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt), undefined, { signal: this.#stop });
    }
  }
}

/** What calls itself a gateway may send anything: no more than this is kept of it. */
async function bodyOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_BODY) throw new Error(`an answer of more than ${MAX_BODY} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** RFC 9457. */
function problem(text: string): { code: string; detail: string; todo: string } {
  try {
    const { code, detail, todo } = JSON.parse(text) as Record<string, unknown>;
    return { code: String(code ?? 'no code'), detail: String(detail ?? ''), todo: String(todo ?? '') };
  } catch {
    return { code: 'no problem document', detail: text.slice(0, 100), todo: '' };
  }
}

function originIn(text: string): string | undefined {
  try {
    const { origin } = JSON.parse(text) as { origin?: unknown };
    return typeof origin === 'string' && origin !== '' ? origin : undefined;
  } catch {
    return undefined;
  }
}
