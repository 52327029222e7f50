// node:cluster and ws: the workers share the port; the primary forwards each publication to all workers.
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

if (cluster.isPrimary) {
  const ports = {};
  const http = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      for (const worker of Object.values(cluster.workers)) worker.send(body);
      response.end('{}');
    });
  }).listen(0, '127.0.0.1', () => {
    ports.publishPort = http.address().port;
    let listening = 0;
    const workers = Number(process.argv[2]);
    for (let n = 0; n < workers; n += 1) cluster.fork();
    cluster.on('message', (_worker, { port }) => {
      ports.port = port;
      listening += 1;
      if (listening === workers) process.stdout.write(`${JSON.stringify(ports)}\n`);
    });
  });
  process.on('SIGTERM', () => process.exit(0));
} else {
  const rooms = new Map();
  const http = createServer().listen(0, '127.0.0.1', () => process.send({ port: http.address().port }));
  new WebSocketServer({ server: http }).on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('message', (text) => {
      const { subscribe } = JSON.parse(text);
      if (!rooms.has(subscribe)) rooms.set(subscribe, new Set());
      rooms.get(subscribe).add(socket);
      socket.on('close', () => rooms.get(subscribe).delete(socket));
      socket.send(JSON.stringify({ event: 'subscribed', channel: subscribe }));
    });
  });
  process.on('message', (body) => {
    for (const socket of rooms.get(JSON.parse(body).channel) ?? []) socket.send(body);
  });
}
