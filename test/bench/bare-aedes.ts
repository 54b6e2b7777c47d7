/** The peer: aedes with nothing on top. It prints its port. */
import { createServer } from 'node:net';
import { Aedes } from 'aedes';

const broker = await Aedes.createBroker();
const server = createServer((socket) => {
  broker.handle(socket);
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as { port: number }).port));
