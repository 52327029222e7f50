import type { ErrorCode } from '../../../shared/errors/catalogue.ts';

/** A JSON Schema of the 2020-12 dialect, which OpenAPI 3.1 uses. */
export type Schema = Readonly<Record<string, unknown>>;

export type Port = 'api' | 'public';

/**
 * What a request needs: the API token (without a configured token: a local program), the signature of a Pusher app, nothing, or
 * `local`: no token, but without a configured token no web page of another site.
 */
export type Access = 'token' | 'signature' | 'local' | 'none';

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly description: string;
  readonly schema: Schema;
  readonly required?: boolean;
  readonly example?: unknown;
}

export interface Body {
  readonly type: 'application/json' | 'application/x-www-form-urlencoded' | 'text/plain';
  readonly schema: Schema;
  readonly example: unknown;
}

export interface Success {
  readonly description: string;
  /** JSON unless `type` names another media type; without a schema the response has no body. */
  readonly schema?: Schema;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, { readonly description: string; readonly schema: Schema }>>;
}

/** One method at one path, on one or both ports. */
export interface Operation {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete' | 'options';
  readonly path: string;
  readonly ports: readonly Port[];
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  readonly access: Access;
  readonly parameters?: readonly Parameter[];
  readonly body?: Body;
  /** Statuses besides those of errors. */
  readonly responses: Readonly<Record<number, Success>>;
  /** Errors besides those of every request, of the access and of the body. */
  readonly errors?: readonly ErrorCode[];
  /** Whether paths of v1.13 may follow `/api`. */
  readonly hasApiPrefix?: boolean;
}

/** Operations under one heading. */
export interface OperationGroup {
  readonly tag: string;
  readonly description: string;
  readonly operations: readonly Operation[];
}

/** An object all of whose members are required, except those named in `optional`. */
export function object(
  properties: Readonly<Record<string, Schema>>,
  optional: readonly string[] = [],
): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, ...(required.length > 0 && { required }) };
}

export function list(items: Schema, more: Schema = {}): Schema {
  return { type: 'array', items, ...more };
}
