import { words } from '../words.ts';

export default words({ title: 'Checks' }, { title: '차량 확인' });
