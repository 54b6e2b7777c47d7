import { words } from '../words.ts';

export default words({ title: 'Quarantine' }, { title: '격리' });
