/**
 * How the shutdown timeout (GUSHER_SHUTDOWN_TIMEOUT_MS) is divided. Each part is a fraction of the one above it:
 *
 *     shutdown timeout  ├────────────────────────────────────────────────┤
 *     workers           ├───────────────────────────────────────────┤ then: killed
 *     clients           ├──────────────────────────────────────┤ then: terminated
 *     close frames      ├──────────────────────┤ then: wait for the replies of clients
 */
export const SHUTDOWN_FRACTIONS = {
  /** Of the shutdown timeout: the time in which workers must exit. */
  workers: 0.9,
  /** Of a worker's time that is left: the time in which its clients must be gone. */
  clients: 0.9,
  /** Of the clients' time: the time in which the worker sends them close frames. */
  closeFrames: 0.6,
} as const;
