import type { Socket } from 'node:net';

/** Destroys the socket when it fails. One shared listener, so that a waiting socket costs no closure. */
export function destroyOnError(socket: Socket): void {
  socket.on('error', destroy);
}

function destroy(this: Socket): void {
  this.destroy();
}
