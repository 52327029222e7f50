/** With libuv's default of 4, four apps whose name server does not respond block every lookup. */
const THREADS = '16';

/**
 * Environment of the processes that resolve the names of backends. Each lookup occupies a thread of libuv's pool until
 * it times out, and file operations wait for the same threads. A `UV_THREADPOOL_SIZE` of the operator has precedence.
 */
export function threadPoolEnvironment(): { UV_THREADPOOL_SIZE: string } {
  return { UV_THREADPOOL_SIZE: process.env.UV_THREADPOOL_SIZE ?? THREADS };
}
