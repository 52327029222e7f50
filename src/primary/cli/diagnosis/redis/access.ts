import { type Finding, ok, problem, skipped, warning } from '../finding.ts';
import type { RedisFacts } from './facts.ts';

/** Checks the commands that Redis rejected, by name of the key or channel. */
export function checkAccess({ rejected, info }: RedisFacts): Finding[] {
  const check = 'redis access';
  // A replica rejects every write; its role is the reason.
  const relevant = rejected.filter(({ reply }) => !(info.role === 'slave' && reply.startsWith('READONLY')));
  if (relevant.length < rejected.length && relevant.length === 0) {
    return [skipped(check, 'a replica rejects every write')];
  }
  if (relevant.length === 0)
    return [ok(check, 'every command that gusher needs is allowed on its keys and channels')];
  return relevant.map(({ command, name, reply, purpose, isOptional }) => {
    const subject = name === '' ? command : `${command} ${name}`;
    const message = `${subject} is rejected: ${reply}; needed for ${purpose}`;
    const fix = fixOf(command, name, reply);
    return isOptional ? warning(check, message, fix) : problem(check, message, fix);
  });
}

function fixOf(command: string, name: string, reply: string): string {
  if (reply.startsWith('OOM')) return 'Give Redis more memory (maxmemory).';
  if (reply.startsWith('MISCONF')) return 'Correct the persistence of Redis: see its log.';
  if (!reply.startsWith('NOPERM')) return 'See docs/settings.md for the permissions of gusher.';
  const isChannel = /SUBSCRIBE|PUBLISH/.test(command);
  const rule = name === '' ? '' : ` ${isChannel ? '&' : '~'}${name}`;
  return `ACL SETUSER <user> +${command.toLowerCase()}${rule} (docs/settings.md has all permissions)`;
}
