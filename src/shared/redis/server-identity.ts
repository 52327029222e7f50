/** The part of a Redis client that reads its server. */
interface IdentityCommands {
  info(section: string): Promise<string>;
  role(): Promise<unknown[]>;
}

/** Identity of a Redis server. A field is `undefined` if the ACL forbids its command. */
export interface ServerIdentity {
  /** Identifies the server process; a restart changes it. */
  readonly runId: string | undefined;
  readonly role: ServerRole | undefined;
}

export type ServerRole = 'master' | 'replica';

/** Reads the identity over a connection that is not subscribed yet. Never rejects. */
export async function readServerIdentity(client: IdentityCommands): Promise<ServerIdentity> {
  const [info, role] = await Promise.all([client.info('server').catch(() => ''), readServerRole(client)]);
  return { runId: /^run_id:(\w+)/m.exec(info)?.[1], role };
}

/** Uses ROLE or, if the ACL forbids it, INFO. Returns `undefined` if both fail. Never rejects. */
export async function readServerRole(client: IdentityCommands): Promise<ServerRole | undefined> {
  const [role] = await client.role().catch((): unknown[] => []);
  if (typeof role === 'string') return role === 'master' ? 'master' : 'replica';
  const info = await client.info('replication').catch(() => '');
  const found = /^role:(\w+)/m.exec(info)?.[1];
  if (found === undefined) return undefined;
  return found === 'master' ? 'master' : 'replica';
}
