/** What errors are in Korean. English is what the gateway itself says. */
import type { Lang } from './words.ts';

export const errorWords = (_code: string, _lang: Lang): { title: string; todo: string } | undefined => undefined;
