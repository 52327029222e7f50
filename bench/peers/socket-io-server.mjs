// Socket.IO: https://socket.io/docs/v4/cluster-adapter/ with sticky sessions.
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { createAdapter, setupPrimary } from '@socket.io/cluster-adapter';
import { setupMaster, setupWorker } from '@socket.io/sticky';
import { Server } from 'socket.io';

if (cluster.isPrimary) {
  const front = createServer();
  setupMaster(front, { loadBalancingMethod: 'least-connection' });
  setupPrimary();
  cluster.setupPrimary({ serialization: 'advanced' });
  const publish = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      // The primary sends to one worker; the adapter forwards to the others.
      Object.values(cluster.workers)[0].send({ publish: body });
      response.end('{}');
    });
  });
  const workers = Number(process.argv[2]);
  let ready = 0;
  cluster.on('message', (_worker, message) => {
    if (message.ready !== true) return;
    ready += 1;
    if (ready < workers) return;
    const ports = { port: front.address().port, publishPort: publish.address().port };
    process.stdout.write(`${JSON.stringify(ports)}\n`);
  });
  front.listen(0, '127.0.0.1', () =>
    publish.listen(0, '127.0.0.1', () => {
      for (let n = 0; n < workers; n += 1) cluster.fork();
    }),
  );
  process.on('SIGTERM', () => process.exit(0));
} else {
  const io = new Server(createServer());
  io.adapter(createAdapter());
  setupWorker(io);
  io.on('connection', (socket) => {
    socket.on('subscribe', (channel) => {
      socket.join(channel);
      socket.emit('subscribed', channel);
    });
  });
  process.on('message', (message) => {
    if (message.publish === undefined) return;
    const { channel, event, data } = JSON.parse(message.publish);
    io.to(channel).emit(event, data);
  });
  process.send({ ready: true });
}
