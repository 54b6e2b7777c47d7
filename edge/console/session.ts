/** Who is signed in, in this tab. The token is what the gateway gave out; what it says of itself is shown, not believed. */
import { signal } from '@preact/signals';

export type Role = 'viewer' | 'engineer' | 'operator';
export type Session = { token: string; name: string; role: Role; expiresMs: number };

const KEY = 'sejong-edge.session';
const ROLES: readonly Role[] = ['viewer', 'engineer', 'operator'];

function kept(): Session | null {
  try {
    const session = JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Session | null;
    return session && session.expiresMs > Date.now() ? session : null;
  } catch {
    return null;
  }
}

export const session = signal<Session | null>(kept());
/** Why the last session ended, to be said on the sign-in page. */
export const ended = signal<'expired' | 'refused' | null>(null);

export function signIn(to: Session): void {
  sessionStorage.setItem(KEY, JSON.stringify(to));
  ended.value = null;
  session.value = to;
}

export function signOut(why: 'expired' | 'refused' | null = null): void {
  sessionStorage.removeItem(KEY);
  ended.value = why;
  session.value = null;
}

/** Whether who is signed in has at least this role. The gateway decides; this only spares vain buttons. */
export const may = (role: Role): boolean =>
  session.value !== null && ROLES.indexOf(session.value.role) >= ROLES.indexOf(role);

/** What a token says of itself (a JWT's claims), or null where it is none. */
export function readToken(token: string): Session | null {
  try {
    const middle = token.trim().split('.')[1] ?? '';
    const bytes = Uint8Array.from(atob(middle.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as { sub?: unknown; role?: unknown; exp?: unknown };
    const role = ROLES.find((r) => r === claims.role);
    if (!role || typeof claims.sub !== 'string' || typeof claims.exp !== 'number') return null;
    return { token: token.trim(), name: claims.sub, role, expiresMs: claims.exp * 1000 };
  } catch {
    return null;
  }
}
