/** Pages by the part of the address after #. */
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
addEventListener('hashchange', () => {
  route.value = parse(location.hash);
});

/** `href('device', did)`: what a link goes to. Colons stay readable. */
export const href = (page: string, ...params: (string | number)[]): string =>
  `#/${[page, ...params].map((p) => encodeURIComponent(p).replaceAll('%3A', ':')).join('/')}`;

export function go(to: string, replace = false): void {
  if (!replace) {
    location.hash = to;
    return;
  }
  history.replaceState(null, '', to);
  route.value = parse(to);
}
