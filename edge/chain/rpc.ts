/** JSON-RPC over HTTP: the client, and what its errors mean to us. */
import {
  BaseError,
  ContractFunctionExecutionError,
  ContractFunctionRevertedError,
  createPublicClient,
  HttpRequestError,
  http,
  type PublicClient,
  RpcRequestError,
  TimeoutError,
} from 'viem';
import { EdgeError } from '../errors.ts';
import { scrub, withoutSecrets } from './rpc-url.ts';

export { isPublic, withoutSecrets } from './rpc-url.ts';

/** @param signal cuts off what is under way, and refuses all that comes after */
export const rpcClient = (rpc: string, timeoutMs = 10_000, signal?: AbortSignal): PublicClient =>
  createPublicClient({
    transport: http(rpc, { timeout: timeoutMs, retryCount: 0, fetchOptions: signal ? { signal } : {} }),
    cacheTime: 0,
  });

const find = <E extends Error>(error: unknown, type: abstract new (...args: never[]) => E): E | undefined =>
  error instanceof BaseError ? ((error.walk((e) => e instanceof type) as E | null) ?? undefined) : undefined;

/**
 * The contract's own no. viem takes a node's internal error (-32603) for one, too: a node that is out of order must not
 * pass for a wrong contract.
 */
export function revertOf(error: unknown): ContractFunctionRevertedError | undefined {
  const answer = find(error, RpcRequestError);
  const isRevert = !answer || answer.code !== -32_603 || /revert/i.test(answer.details);
  return isRevert ? find(error, ContractFunctionRevertedError) : undefined;
}

/** What a contract answered that reverted, as far as the node says it. */
export function revertDataOf(error: unknown): `0x${string}` | undefined {
  const found = error instanceof BaseError ? error.walk((e) => (e as { data?: unknown }).data !== undefined) : null;
  const data = (found as { data?: unknown } | null)?.data;
  const hex = typeof data === 'object' ? (data as { data?: unknown } | null)?.data : data;
  return typeof hex === 'string' && /^0x[0-9a-f]{8}/i.test(hex) ? (hex as `0x${string}`) : undefined;
}

/** In the words of whoever knew it best: the node, the HTTP server, or the socket. */
function reason(error: unknown, rpc: string): string {
  const status = find(error, HttpRequestError)?.status;
  let text: string;
  if (status !== undefined) text = `HTTP status ${status}`;
  else if (find(error, TimeoutError)) text = 'no answer in time';
  else {
    let deepest = error;
    while (deepest instanceof Error && deepest.cause instanceof Error) deepest = deepest.cause;
    const { code, message } = deepest as { code?: unknown; message?: string };
    text = find(error, RpcRequestError)?.details || message || String(code ?? deepest);
  }
  return scrub(text.split('\n')[0] as string, rpc);
}

const urlOf = (client: PublicClient): string => (client.transport as unknown as { url: string }).url;

/** Of a request that asked: CHAIN_AWAY, or CHAIN_WRONG where there is an answer and it isn't that of our contract. */
export function chainError(error: unknown, client: PublicClient): EdgeError {
  if (error instanceof EdgeError) return error;
  const rpc = urlOf(client);
  const call = find(error, ContractFunctionExecutionError);
  const unanswered = find(error, HttpRequestError) ?? find(error, TimeoutError) ?? find(error, RpcRequestError);
  if (call && (!unanswered || revertOf(error)))
    return new EdgeError('CHAIN_WRONG', `what is at ${call.contractAddress} does not answer as an Anchors contract`, {
      cause: error,
    });
  return new EdgeError('CHAIN_AWAY', `${withoutSecrets(rpc)} (${reason(error, rpc)})`, { cause: error });
}

/** Of a request that sent something: CHAIN_REFUSED with the node's own words, where it was the node that refused. */
export const sendError = (error: unknown, client: PublicClient, what: string): EdgeError =>
  !(error instanceof EdgeError) && find(error, RpcRequestError)
    ? new EdgeError('CHAIN_REFUSED', `${what}: ${reason(error, urlOf(client))}`, { cause: error })
    : chainError(error, client);
