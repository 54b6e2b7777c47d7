/** Light or dark: as the system has it, or as it was chosen here. The colours are in style.css. */
import { computed, effect, signal } from '@preact/signals';

export type Theme = 'auto' | 'light' | 'dark';
const KEY = 'sejong-edge.theme';

const kept = localStorage.getItem(KEY);
export const theme = signal<Theme>(kept === 'light' || kept === 'dark' ? kept : 'auto');
const query = matchMedia('(prefers-color-scheme: dark)');
const system = signal(query.matches);
query.addEventListener('change', () => {
  system.value = query.matches;
});

/** For what is drawn and not styled. */
export const isDark = computed(() => (theme.value === 'auto' ? system.value : theme.value === 'dark'));

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

export function setTheme(to: Theme): void {
  localStorage.setItem(KEY, to);
  theme.value = to;
}

/** What a variable of style.css is now, as a colour that a canvas takes. */
export function colour(name: `--${string}`): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
