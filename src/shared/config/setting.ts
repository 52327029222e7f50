import { readFileSync } from 'node:fs';
import { publicKeyOf } from '../crypto/public-key.ts';
import { type Address, parseAddress } from '../net/address.ts';

/** One setting: its names, unit, default, bounds and description, which are defined nowhere else. */
export interface Setting<T> {
  readonly env: string;
  /** Flag of `gusher start`, without the dashes. */
  readonly flag?: string;
  /** Older environment names with the same meaning. */
  readonly aliases?: readonly string[];
  readonly unit?: string;
  /** The accepted values, where a few words can name them. */
  readonly allowed?: string;
  /** The default as an operator types it; empty if the setting is off by default. */
  readonly example: string;
  /** Describes the default where it depends on the machine. */
  readonly computed?: string;
  readonly about: string;
  /** No log and no error shows the value. */
  readonly secret?: true;
  readonly fallback: T;
  /** Computes the default from the values of other settings, instead of `fallback`. */
  readonly derive?: (values: Readonly<Record<string, unknown>>) => T;
  /** Throws an `Error` that states what is expected. */
  readonly parse: (text: string) => T;
}

type Description = Omit<Setting<unknown>, 'fallback' | 'derive' | 'parse' | 'example' | 'allowed'>;

export function address(description: Description & { fallback: string }): Setting<Address> {
  return {
    ...description,
    example: description.fallback,
    fallback: parseAddress(description.fallback),
    parse: parseAddress,
  };
}

export function integer(
  description: Description & {
    fallback: number;
    min: number;
    max: number;
    derive?: (values: Readonly<Record<string, unknown>>) => number;
  },
): Setting<number> {
  const { min, max, ...rest } = description;
  return {
    ...rest,
    allowed: `${min} to ${max}`,
    example: description.computed === undefined ? String(description.fallback) : '',
    parse(text) {
      const value = Number(text);
      if (!/^\d+$/.test(text) || value < min || value > max) {
        throw new Error(`must be a whole number from ${min} to ${max}`);
      }
      return value;
    },
  };
}

export function flag(description: Description & { fallback: boolean }): Setting<boolean> {
  return {
    ...description,
    allowed: 'true, false',
    example: String(description.fallback),
    parse(text) {
      if (text === 'true' || text === '1') return true;
      if (text === 'false' || text === '0') return false;
      throw new Error('must be true or false');
    },
  };
}

export function oneOf<const T extends string>(
  description: Description & { fallback: NoInfer<T>; values: readonly T[] },
): Setting<T> {
  const { values, ...rest } = description;
  return {
    ...rest,
    allowed: values.join(', '),
    example: description.fallback,
    parse(text) {
      const value = values.find((candidate) => candidate === text);
      if (value === undefined) throw new Error(`must be one of ${values.join(', ')}`);
      return value;
    },
  };
}

/** `check` throws an `Error` that states what is expected. */
export function optionalText(
  description: Description & { check?: (text: string) => void },
): Setting<string | undefined> {
  const { check, ...rest } = description;
  return {
    ...rest,
    example: '',
    fallback: undefined,
    parse(text) {
      check?.(text);
      return text;
    },
  };
}

/** `check` throws an `Error` that states what is expected. */
export function text(
  description: Description & { fallback: string; check?: (text: string) => void },
): Setting<string> {
  const { check, ...rest } = description;
  return {
    ...rest,
    example: description.fallback,
    parse(value) {
      check?.(value);
      return value;
    },
  };
}

/** The value is the text of the file, because workers may be unable to read the file. */
export function publicKeyFile(description: Description): Setting<string | undefined> {
  return {
    ...description,
    example: '',
    fallback: undefined,
    parse(path) {
      const pem = readText(path);
      if (publicKeyOf(pem) === undefined) throw new Error('must be a file with a public key in PEM');
      return pem;
    },
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`must be a readable file (${(error as NodeJS.ErrnoException).code})`);
  }
}
