import { Page } from '../ui/index.ts';
import { useWords } from '../words.ts';
import table from './log.words.ts';

export default function Log() {
  const w = useWords(table);
  return <Page title={w.title} />;
}
