import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import { DEMO_APP } from '../../../shared/apps/app.ts';
import { GRANTS_MAX } from '../../../shared/model/grants.ts';
import { CHANNEL_MAX_LENGTH, isAppKey, isName, isUserId } from '../../../shared/model/names.ts';
import { UsageError } from '../errors.ts';
import { type Arguments, textOption } from '../options.ts';
import { print, printNote } from '../output.ts';

const EC_ALGORITHMS: Readonly<Record<string, string>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};
const UNIT_S: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };
/** Minimum of RFC 7518 §3.3, which jose enforces. */
const RSA_MIN_BITS = 2_048;

/** `gusher token`: signs a token as the backend of an app does, for tests. */
export const tokenCommand: CommandModule = {
  command: 'token',
  describe: 'sign a token (JWT) for a client, to try it out',
  builder: (yargs) =>
    yargs
      .option(
        'private-key',
        textOption('file with the private key (PEM): RSA, EC or Ed25519', { demandOption: true }),
      )
      .option('app', textOption('app key', { default: DEMO_APP.key }))
      .option('user', textOption('user id', { default: '' }))
      .option('channels', textOption('granted channels, comma-separated', { default: '*' }))
      .option('remotes', textOption('granted remotes (gusher.remote), comma-separated'))
      .option('expires-in', textOption('lifetime: 90s, 15m, 12h, 7d', { default: '1h' }))
      .example('openssl genpkey -algorithm ed25519 -out private.pem', 'create a private key')
      .example('openssl pkey -in private.pem -pubout -out public.pem', 'extract its public key')
      .example('$0 apps add shop --jwt-public-key public.pem', 'make an app accept tokens signed with it')
      .example('$0 token --app shop --user ann --channels news --private-key private.pem', 'sign a token')
      .epilogue(
        'Clients send it as ws://…/ws/{app}?token={token}. Backends sign tokens with any JWT library.',
      ),
  handler: async (argv) => {
    const key = privateKeyIn(String(argv['private-key']));
    const alg = algorithmOf(key);
    const now = Math.floor(Date.now() / 1_000);
    // Imported here, because the other commands do not need jose.
    const { SignJWT } = await import('jose/jwt/sign');
    const token = new SignJWT({ gusher: claimsOf(argv) })
      .setProtectedHeader({ alg, typ: 'JWT' })
      .setIssuedAt(now)
      .setExpirationTime(now + secondsOf(String(argv['expires-in'])));
    print(await token.sign(key));
    printNote(`signed with ${alg}, valid for ${argv['expires-in']}`);
  },
};

function claimsOf({ app, user, channels, remotes }: Arguments): object {
  if (!isAppKey(String(app))) throw new UsageError('--app: must have 1 to 128 letters, digits and _ . ~ -');
  if (user !== '' && !isUserId(String(user)))
    throw new UsageError('--user: must have at most 256 characters and no control characters');
  const names = namesIn(remotes, '--remotes');
  return {
    app_key: app,
    user_id: user,
    channels: namesIn(channels, '--channels'),
    ...(names.length > 0 && { remotes: Object.fromEntries(names.map((name) => [name, true])) }),
  };
}

/** Throws a `UsageError` for names that the server would reject in a token. */
function namesIn(list: unknown, option: string): string[] {
  if (typeof list !== 'string') return [];
  const names = list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length <= GRANTS_MAX && names.every((name) => isName(name, CHANNEL_MAX_LENGTH))) return names;
  throw new UsageError(
    `${option}: must be at most ${GRANTS_MAX} names of at most ${CHANNEL_MAX_LENGTH} characters, without control characters`,
  );
}

function privateKeyIn(path: string): KeyObject {
  try {
    return createPrivateKey(readFileSync(path, 'utf8'));
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    const problem =
      code.startsWith('E') && !code.startsWith('ERR_')
        ? `is not readable (${code})`
        : 'is not a private key in PEM';
    throw new UsageError(`--private-key: ${path} ${problem}`);
  }
}

/** Returns the signature algorithm for the key. */
function algorithmOf(key: KeyObject): string {
  const { asymmetricKeyType: type } = key;
  const { namedCurve = '', modulusLength = 0 } = createPublicKey(key).asymmetricKeyDetails ?? {};
  if (type === 'rsa' && modulusLength < RSA_MIN_BITS) {
    throw new UsageError(`--private-key: an RSA key must have at least ${RSA_MIN_BITS} bits`);
  }
  const alg = type === 'rsa' ? 'RS256' : type === 'ed25519' ? 'EdDSA' : EC_ALGORITHMS[namedCurve];
  if (alg === undefined)
    throw new UsageError('--private-key: must be an RSA, EC (P-256, P-384, P-521) or Ed25519 key');
  return alg;
}

function secondsOf(text: string): number {
  const [, count, unit = ''] = /^([1-9]\d{0,6})([smhd])$/.exec(text) ?? [];
  const factor = UNIT_S[unit];
  if (count === undefined || factor === undefined)
    throw new UsageError('--expires-in: must be like 90s, 15m, 12h or 7d');
  return Number(count) * factor;
}
