/** Languages. A page's words lie beside it: `{ en: {...}, ko: {...} }` with the same keys, made by {@link words}. */
import { effect, signal } from '@preact/signals';

export type Lang = 'en' | 'ko';
const KEY = 'sejong-edge.lang';

const kept = localStorage.getItem(KEY);
export const lang = signal<Lang>(
  kept === 'en' || kept === 'ko' ? kept : navigator.language.toLowerCase().startsWith('ko') ? 'ko' : 'en',
);
effect(() => {
  document.documentElement.lang = lang.value;
});

export function setLang(to: Lang): void {
  localStorage.setItem(KEY, to);
  lang.value = to;
}

type Word = string | ((...values: never[]) => string);
type Shape<T> = { [K in keyof T]: T[K] extends (...values: infer A) => string ? (...values: A) => string : string };

/** Both languages have the same keys, and the same parameters. */
export const words = <T extends Record<string, Word>>(en: T, ko: Shape<T>): { en: Shape<T>; ko: Shape<T> } => ({
  en: en as unknown as Shape<T>,
  ko,
});

/** The words of a table in the language of now; whoever calls it in a component is rendered anew when that changes. */
export const useWords = <T>(table: { en: T; ko: T }): T => table[lang.value];
