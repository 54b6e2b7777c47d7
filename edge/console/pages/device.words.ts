import { words } from '../words.ts';

export default words({ title: 'Device' }, { title: '장치' });
