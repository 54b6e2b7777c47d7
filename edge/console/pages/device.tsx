import { Page } from '../ui/index.ts';
import { useWords } from '../words.ts';
import table from './device.words.ts';

export default function Device() {
  const w = useWords(table);
  return <Page title={w.title} />;
}
