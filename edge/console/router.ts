/** Pages by the part of the address after #, and where one was on each of them. */
import { signal } from '@preact/signals';

export type Route = { page: string; params: string[]; query: URLSearchParams };

function parse(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const [page = '', ...params] = path.split('/').map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return { page: page || 'now', params, query: new URLSearchParams(query) };
}

export const route = signal<Route>(parse(location.hash));

/** How far down each place of the history was when it was left. */
const depths = new Map<number, number>();
type Place = { place: number } | null;
let last = 0;
let here = (history.state as Place)?.place ?? 0;
history.replaceState({ place: here }, '');
history.scrollRestoration = 'manual'; // a browser would look for its place before the page is there

addEventListener('hashchange', () => {
  depths.set(here, scrollY);
  const known = (history.state as Place)?.place;
  if (known === undefined) {
    last = Math.max(last, here) + 1;
    history.replaceState({ place: last }, '');
  }
  here = known ?? last;
  route.value = parse(location.hash);
});

/** Where the page of now is to begin: at its top, or where it was left by who comes back. */
export const depth = (): number => depths.get(here) ?? 0;

/** `href('device', did)`: what a link goes to. Colons stay readable. */
export const href = (page: string, ...params: (string | number)[]): string =>
  `#/${[page, ...params].map((p) => encodeURIComponent(p).replaceAll('%3A', ':')).join('/')}`;

export function go(to: string, replace = false): void {
  if (!replace) {
    location.hash = to;
    return;
  }
  history.replaceState(history.state, '', to);
  route.value = parse(to);
}
