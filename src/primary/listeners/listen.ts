import type { Server } from 'node:net';
import type { Logger } from '../../shared/logging/log.ts';
import { type Address, formatAddress } from '../../shared/net/address.ts';

const BACKLOG = 4_096;

/** Opens a port and resolves with its address. Rejects with an error that names the setting; logs later errors. */
export async function listen(
  server: Server,
  { address, setting, name, log }: { address: Address; setting: string; name: string; log: Logger },
): Promise<Address> {
  const { host, port } = address;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, ...(host !== undefined && { host }), backlog: BACKLOG }, resolve);
  }).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`cannot listen on ${formatAddress(address)} (${setting}): ${error.code}`);
  });
  server.removeAllListeners('error');
  server.on('error', (error) =>
    log.error({ event: 'listener_failed', listener: name, err: error }, 'listener error'),
  );
  const bound = server.address();
  return { host, port: bound !== null && typeof bound === 'object' ? bound.port : port };
}
