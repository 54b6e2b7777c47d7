/** What the commands share that ask a gateway over its API: where it is, with which token, and what its errors mean. */
import type { Config } from '../config.ts';
import { EdgeError, ERRORS, type ErrorCode } from '../errors.ts';
import { runInfo } from '../run-info.ts';
import { LOCAL_OPTIONS, LOCAL_USAGE, localConfig, localToken } from './local.ts';

const string = { type: 'string' } as const;
export const REMOTE_OPTIONS = { ...LOCAL_OPTIONS, url: string, token: string } as const;
export const REMOTE_USAGE = `  --url URL       the gateway's API (default: the running one of the data folder)
  --token TOKEN   or SEJONG_TOKEN: an operator's token (default: made from the keys of the data folder)
${LOCAL_USAGE}`;

type Values = { [key in keyof typeof REMOTE_OPTIONS]?: string | undefined };
/** Asks; the answer's body. @throws EdgeError, the gateway's own where it says one */
export type Ask = <Answer>(path: string, body?: unknown) => Promise<Answer>;

/** A local token is made for so many seconds: longer than any command asks. */
const TOKEN_SECONDS = 3600;

/**
 * @param name of the command, for the audit trail
 * @throws EdgeError USAGE where nothing runs
 */
export async function remote(
  values: Values,
  name: string,
): Promise<{ ask: Ask; text: (path: string) => Promise<string>; config: Config; url: string }> {
  const config = localConfig(values);
  const url = values.url ?? runInfo(config.dataFolder)?.http;
  if (url === undefined)
    throw new EdgeError('USAGE', `no gateway runs on ${config.dataFolder}; start it, or give --url`);
  const token = values.token ?? process.env.SEJONG_TOKEN ?? (await localToken(config, name, 'operator', TOKEN_SECONDS));
  const good = async (path: string, body?: unknown): Promise<Response> => {
    const answer = await fetch(new URL(path, url), {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch((error: Error) => {
      throw new EdgeError(
        'USAGE',
        `${url} does not answer (${(error.cause as Error | undefined)?.message ?? error.message})`,
      );
    });
    if (answer.ok) return answer;
    const result = (await answer.json().catch(() => ({}))) as { code?: string; detail?: string };
    throw result.code && Object.hasOwn(ERRORS, result.code)
      ? new EdgeError(result.code as ErrorCode, result.detail ?? '')
      : new EdgeError('INTERNAL', `${url} answered ${answer.status}`);
  };
  const ask: Ask = async <Answer>(path: string, body?: unknown) =>
    (await (await good(path, body)).json().catch(() => ({}))) as Answer;
  return { ask, text: async (path) => (await good(path)).text(), config, url };
}
