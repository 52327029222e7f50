/** A connection that can ask its server. */
interface Asking {
  info(section: string): Promise<string>;
  role(): Promise<unknown[]>;
}

/** What a Redis server says of itself. A field is `undefined` if the ACL forbids the question. */
export interface ServerIdentity {
  /** Names the server process; a restart changes it. */
  readonly runId: string | undefined;
  readonly role: ServerRole | undefined;
}

export type ServerRole = 'master' | 'replica';

/** Asks the server of a connection that is not subscribed yet. Never rejects. */
export async function readServerIdentity(client: Asking): Promise<ServerIdentity> {
  const [info, role] = await Promise.all([client.info('server').catch(() => ''), readServerRole(client)]);
  return { runId: /^run_id:(\w+)/m.exec(info)?.[1], role };
}

/** ROLE or, if the ACL forbids it, INFO. `undefined` if the server answers neither. Never rejects. */
export async function readServerRole(client: Asking): Promise<ServerRole | undefined> {
  const [role] = await client.role().catch((): unknown[] => []);
  if (typeof role === 'string') return role === 'master' ? 'master' : 'replica';
  const info = await client.info('replication').catch(() => '');
  const found = /^role:(\w+)/m.exec(info)?.[1];
  if (found === undefined) return undefined;
  return found === 'master' ? 'master' : 'replica';
}
