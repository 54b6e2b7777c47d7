import { Page } from '../ui/index.ts';
import { useWords } from '../words.ts';
import table from './checks.words.ts';

export default function Checks() {
  const w = useWords(table);
  return <Page title={w.title} />;
}
