/**
 * Asks a node of a chain by JSON-RPC, with nothing but fetch: it works in a browser, and an auditor's questions take
 * another way than those of the gateway (rpc.ts).
 */
import { EdgeError } from '../errors.ts';
import { scrub, withoutSecrets } from './rpc-url.ts';

/** The code of a contract is at most 24 KiB, the receipt of a transaction some more. */
const MAX_ANSWER = 4 * 1024 * 1024;

/** What a node answers that refuses a call: `data` is what the contract said, where it was the contract. */
export class NodeRefusal extends Error {
  readonly data: string | undefined;
  constructor(message: string, data: unknown) {
    super(message);
    const hex = typeof data === 'object' ? (data as { data?: unknown } | null)?.data : data;
    this.data = typeof hex === 'string' && /^0x[0-9a-f]*$/i.test(hex) ? hex : undefined;
  }
}

export class NodeReader {
  readonly rpc: string;
  readonly #timeoutMs: number;

  /** @param rpc an http or https URL; of a part that may be a secret nothing is said in errors */
  constructor(rpc: string, timeoutMs = 15_000) {
    this.rpc = rpc;
    this.#timeoutMs = timeoutMs;
  }

  /** @throws EdgeError CHAIN_AWAY, NodeRefusal where the node answers with an error of its own */
  async ask(method: string, ...params: unknown[]): Promise<unknown> {
    let answer: unknown;
    try {
      const response = await fetch(this.rpc, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
        signal: AbortSignal.timeout(this.#timeoutMs),
        credentials: 'omit',
        redirect: 'error',
      });
      const body = await textOf(response);
      if (!response.ok && !looksLikeAnswer(body)) throw new Error(`HTTP status ${response.status}`);
      answer = JSON.parse(body);
    } catch (error) {
      throw this.away(reasonOf(error));
    }
    const { result, error } = (answer ?? {}) as { result?: unknown; error?: { message?: unknown; data?: unknown } };
    if (error) throw new NodeRefusal(String(error.message ?? 'an error without words'), error.data);
    if (result === undefined) throw this.away(`what it answers to ${method} is no JSON-RPC`);
    return result;
  }

  /** An unsigned integer, in the form of JSON-RPC. @throws EdgeError CHAIN_AWAY */
  async quantity(method: string): Promise<number> {
    const answer = await this.ask(method);
    const n = typeof answer === 'string' && /^0x[0-9a-f]{1,14}$/i.test(answer) ? Number(answer) : Number.NaN;
    if (!Number.isSafeInteger(n)) throw this.away(`what it answers to ${method} is no number`);
    return n;
  }

  /** Bytes in hex. @throws EdgeError CHAIN_AWAY, NodeRefusal */
  async data(method: string, ...params: unknown[]): Promise<`0x${string}`> {
    const answer = await this.ask(method, ...params);
    if (typeof answer !== 'string' || !/^0x([0-9a-f]{2})*$/i.test(answer))
      throw this.away(`what it answers to ${method} is not hex`);
    return answer as `0x${string}`;
  }

  chainId(): Promise<number> {
    return this.quantity('eth_chainId');
  }

  /** What a contract answers to a call. @throws EdgeError CHAIN_AWAY, NodeRefusal where it reverts */
  call(to: string, data: string): Promise<`0x${string}`> {
    return this.data('eth_call', { to, data }, 'latest');
  }

  /** @throws EdgeError CHAIN_WRONG where there is nothing, CHAIN_AWAY */
  async needContract(address: string, chainId: number): Promise<void> {
    if ((await this.data('eth_getCode', address, 'latest')) === '0x')
      throw new EdgeError('CHAIN_WRONG', `there is no contract at ${address} on chain ${chainId}`);
  }

  away(why: string): EdgeError {
    return new EdgeError(
      'CHAIN_AWAY',
      `${withoutSecrets(this.rpc)} (${scrub(why.split('\n')[0] as string, this.rpc)})`,
    );
  }

  /** Of anything that one of the above threw. */
  errorOf(error: unknown): EdgeError {
    if (error instanceof EdgeError) return error;
    return this.away(error instanceof Error ? error.message : String(error));
  }
}

/** Some nodes answer a JSON-RPC error with a status of HTTP that is one too. */
const looksLikeAnswer = (body: string): boolean => /^\s*\{[\s\S]*"jsonrpc"/.test(body);

async function textOf(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for (const reader = response.body?.getReader(); reader; ) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
    if (text.length > MAX_ANSWER) {
      await reader.cancel();
      throw new Error(`an answer of more than ${MAX_ANSWER} bytes`);
    }
  }
  return text;
}

/** In the words of whoever knew it best. A browser says no more than that it failed. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return 'no answer in time';
  if (error instanceof SyntaxError) return 'what it answers is no JSON';
  let deepest = error;
  while (deepest instanceof Error && deepest.cause instanceof Error) deepest = deepest.cause;
  const { code, message } = deepest as { code?: unknown; message?: string };
  return message || String(code ?? deepest);
}
