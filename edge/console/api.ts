/** The gateway's API, asked as everybody asks it. */
import { signal } from '@preact/signals';
import { session, signOut } from './session.ts';

/** What the gateway says where something is wrong (RFC 9457), or GATEWAY_AWAY where it says nothing. */
export class ApiError extends Error {
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly todo: string;
  readonly status: number;
  constructor(problem: { code: string; title: string; detail: string; todo: string; status: number }) {
    super(`${problem.code}: ${problem.title}: ${problem.detail}`);
    this.name = 'ApiError';
    this.code = problem.code;
    this.title = problem.title;
    this.detail = problem.detail;
    this.todo = problem.todo;
    this.status = problem.status;
  }
}

/** False while the gateway does not answer. */
export const reachable = signal(true);

/** @throws ApiError */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const { value } = session;
  const headers = new Headers(init.headers);
  if (value) headers.set('authorization', `Bearer ${value.token}`);
  let answer: Response;
  try {
    answer = await fetch(path, { ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    reachable.value = false;
    throw new ApiError({ code: 'GATEWAY_AWAY', title: '', detail: (error as Error).message, todo: '', status: 0 });
  }
  reachable.value = true;
  if (answer.ok) return answer;
  const problem = (await answer.json().catch(() => null)) as Partial<ApiError> | null;
  if (answer.status === 401 && value && session.value?.token === value.token)
    signOut(value.expiresMs < Date.now() ? 'expired' : 'refused');
  throw new ApiError({
    code: problem?.code ?? 'INTERNAL',
    title: problem?.title ?? answer.statusText,
    detail: problem?.detail ?? path,
    todo: problem?.todo ?? '',
    status: answer.status,
  });
}

/** @param path begins with a slash; @throws ApiError */
export const get = async <T>(path: string, signal?: AbortSignal): Promise<T> =>
  (await (await ask(path, signal ? { signal } : {})).json()) as T;

/** @throws ApiError */
export const post = async <T>(
  path: string,
  body: object = {},
  method: 'POST' | 'DELETE' | 'PUT' = 'POST',
): Promise<T> =>
  (await (
    await ask(path, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  ).json()) as T;
