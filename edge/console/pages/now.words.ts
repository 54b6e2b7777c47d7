import { words } from '../words.ts';

export default words({ title: 'Now' }, { title: '현황' });
