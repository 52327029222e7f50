/** libuv's own default of 4 is one name server that does not respond for four apps. */
const THREADS = '16';

/**
 * Environment of the processes that resolve the names of backends. Each lookup occupies a thread of libuv's pool until the
 * resolver gives up, and files wait for the same threads. The operator's own `UV_THREADPOOL_SIZE` has precedence.
 */
export function threadPoolEnvironment(): { UV_THREADPOOL_SIZE: string } {
  return { UV_THREADPOOL_SIZE: process.env.UV_THREADPOOL_SIZE ?? THREADS };
}
