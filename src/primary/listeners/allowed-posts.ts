/** The addresses on the public port that take a POST; everything else with a body belongs on the API port. */
const PATHS: readonly RegExp[] = [
  // Where clients exchange a JWT for a token.
  /^\/(?:v1\/)?auth\/?$/,
  // The Pusher HTTP API: many of its SDKs know one host and port, for clients and backends alike.
  /^\/apps\/[^/]+\/(?:events|batch_events|channels\/[^/]+\/events|users\/.+\/terminate_connections)\/?$/,
];

/** Whether a request may carry a body through the front door. `path` is as it was sent. */
export function isPublicPost(method: string, path: string, pusherPathPrefix: string): boolean {
  if (method !== 'POST') return false;
  const bare = path.startsWith(pusherPathPrefix) ? path.slice(pusherPathPrefix.length) : path;
  return PATHS.some((pattern) => pattern.test(bare));
}
