import { readdirSync, readFileSync } from 'node:fs';
import { Validator } from '@seriousme/openapi-schema-validator';
import { expect } from 'chai';
import type { HTTPMethod } from 'find-my-way';
import * as v from 'valibot';
import { APP_FIELD_FORMS, appFieldsToSet } from '../../src/shared/apps/app.ts';
import { ERRORS, type ErrorCode } from '../../src/shared/errors/catalogue.ts';
import { Router } from '../../src/worker/api/http/router.ts';
import { APP_FIELD_SCHEMAS } from '../../src/worker/api/openapi/paths/apps.ts';
import { type PusherApiDependencies, registerPusherRoutes } from '../../src/worker/api/pusher/routes.ts';
import type { RouteContext } from '../../src/worker/api/route-context.ts';
import { registerPublicRoutes, registerRoutes } from '../../src/worker/api/routes.ts';
import { registerUpgradeRoutes } from '../../src/worker/handshake/upgrade-routes.ts';
import { readApiExamples } from '../support/api-examples.ts';
import { findOperation, operationsOf, placesOf, readOpenApi, SchemaCheck } from '../support/openapi.ts';
import { routerOptionsForTests } from '../support/router.ts';

const WHERE = 'edit src/worker/api/openapi/paths/, then run npm run documents and add it to docs/api.md';

/** Routes with a wildcard, and the operation that describes them. */
const WILDCARDS: Readonly<Record<string, string>> = {
  '/apps/{id}/users/*': '/apps/{id}/users/{user}/terminate_connections',
  '/app/*': '/app/{app}',
  // Nearly a path of Pusher clients, which get their error as a close code.
  '/app': '/app/{app}',
};

/** Errors of requests that reach no operation. */
const WITHOUT_OPERATION: readonly ErrorCode[] = ['method_not_allowed'];

describe('docs/openapi.json', () => {
  const document = readOpenApi();
  const operations = operationsOf(document);
  const check = new SchemaCheck(document);

  it('is a valid OpenAPI 3.1 document', async () => {
    const { valid, errors } = await new Validator().validate({ ...document });
    expect(valid, JSON.stringify(errors)).to.equal(true);
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(ids.length - new Set(ids).size, 'operations with the same id').to.equal(0);
  });

  it('describes each route of both ports, and no other', () => {
    const described = operations.flatMap(({ method, path, operation }) =>
      placesOf(operation).map(({ port, prefix }) => `${port} ${method} ${prefix}${path}`),
    );
    const routes = [...routesOf('api'), ...routesOf('public')];
    expect(
      routes.filter((route) => !described.includes(route)),
      `undescribed routes: ${WHERE}`,
    ).to.deep.equal([]);
    expect(
      described.filter((route) => !routes.includes(route)),
      `no such route: ${WHERE}`,
    ).to.deep.equal([]);
  });

  it('declares the path parameters of each operation', () => {
    for (const { method, path, operation } of operations) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const declared = (operation.parameters ?? [])
        .filter((one) => one.in === 'path')
        .map(({ name }) => name);
      expect(declared.sort(), `${method} ${path}`).to.deep.equal(inPath.sort());
    }
  });

  it('declares each error that the API throws', () => {
    const declared = JSON.stringify(document.paths);
    const thrown = readdirSync('src/worker/api', { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .flatMap((path) => [
        ...readFileSync(`src/worker/api/${path}`, 'utf8').matchAll(/GusherError\('(\w+)'/g),
      ])
      .map(([, code]) => code as ErrorCode);
    const missing = [...new Set(thrown)].filter(
      (code) => !declared.includes(`"${code}"`) && !WITHOUT_OPERATION.includes(code),
    );
    expect(thrown.length).to.be.greaterThan(40);
    expect(missing, `errors that no operation declares: ${WHERE}`).to.deep.equal([]);
  });

  it('declares only HTTP statuses of the catalogue for errors', () => {
    for (const [status, code] of declaredErrors()) expect(ERRORS[code].http ?? 500, code).to.equal(status);
  });

  it('has request examples that fit their schemas', () => {
    for (const { path, operation } of operations) {
      for (const { schema, example } of Object.values(operation.requestBody?.content ?? {})) {
        expect(check.errors(schema, example), path).to.deep.equal([]);
      }
    }
  });

  it('describes the fields of apps as the code accepts them', () => {
    expect(Object.keys(APP_FIELD_SCHEMAS).sort()).to.deep.equal(Object.keys(appFieldsToSet.entries).sort());
    const samples = [
      'x',
      '',
      '4242',
      'https://a.example/x',
      'ftp://x',
      7,
      -1,
      1.5,
      true,
      ['a*'],
      [''],
      ['member_added'],
      {},
    ];
    for (const [name, schema] of Object.entries(APP_FIELD_SCHEMAS)) {
      const accepted = samples.filter((value) => v.is(appFieldsToSet, { [name]: value }));
      const described = samples.filter((value) => check.errors(schema, value).length === 0);
      expect(described, `${name} accepts what the code accepts`).to.include.members(accepted);
      // The code checks more than a schema can say (keys, origins), but never another type.
      const types = (values: readonly unknown[]) =>
        new Set(values.map((value) => Array.isArray(value) || typeof value));
      if (accepted.length > 0) expect([...types(described)], name).to.deep.equal([...types(accepted)]);
    }
    expect(Object.keys(APP_FIELD_FORMS)).to.have.length(Object.keys(APP_FIELD_SCHEMAS).length);
  });

  describe('and docs/api.md', () => {
    const page = readFileSync('docs/api.md', 'utf8');

    it('name the same operations', () => {
      const named = [...page.matchAll(/`(GET|POST|PUT|PATCH|DELETE) (\/[^\s`?]*)/g)];
      const unknown = named.filter(
        ([, method = '', path = '']) => document.paths[path]?.[method.toLowerCase()] === undefined,
      );
      expect(
        unknown.map(([text]) => text),
        `operations that only docs/api.md has: ${WHERE}`,
      ).to.deep.equal([]);
      const missing = operations.filter(
        ({ path }) => /^\/(v1|healthz|readyz|version|openapi)/.test(path) && !page.includes(path),
      );
      expect(
        missing.map(({ path }) => path),
        `paths that docs/api.md lacks: ${WHERE}`,
      ).to.deep.equal([]);
    });

    for (const { line, method, path, body, status, answer } of readApiExamples('docs/api.md')) {
      it(`agree on the example in line ${line}: ${method} ${path}`, () => {
        const found = findOperation(document, method, path);
        if (found === undefined) throw new Error(`no operation describes it: ${WHERE}`);
        const text = answer.replaceAll(/\{(ms|slot)\}/g, '1');
        expect(check.responseErrors(found, status, text), 'response').to.deep.equal([]);
        const [content] = Object.values(found.operation.requestBody?.content ?? {});
        const isAccepted = status < 300 && body !== undefined && content !== undefined;
        if (isAccepted) expect(check.errors(content.schema, JSON.parse(body)), 'request').to.deep.equal([]);
      });
    }
  });

  function declaredErrors(): [status: number, code: ErrorCode][] {
    return operations.flatMap(({ operation }) =>
      Object.entries(operation.responses).flatMap(([status, response]) => {
        const codes = /"enum":(\["[a-z_]+"[^\]]*\])/.exec(JSON.stringify(response))?.[1] ?? '[]';
        const known = (JSON.parse(codes) as string[]).filter((code) => code in ERRORS) as ErrorCode[];
        return Number(status) < 400 ? [] : known.map((code): [number, ErrorCode] => [Number(status), code]);
      }),
    );
  }
});

/** Returns the routes of a port as the code registers them. */
function routesOf(port: 'api' | 'public'): string[] {
  const router = new RecordingRouter();
  const settings = { pusherPathPrefix: '', bodyMaxBytes: 1_024 };
  // The handlers are created, and never called.
  const context = { settings } as unknown as RouteContext;
  if (port === 'api') registerRoutes(router, context);
  else {
    registerPublicRoutes(router, context);
    registerUpgradeRoutes(router, '');
  }
  registerPusherRoutes(router, { settings } as unknown as PusherApiDependencies);
  const names = router.registered.map(([method, path]) => {
    const template = path.replace(/:(\w+)/g, '{$1}');
    return `${port} ${method} ${WILDCARDS[template] ?? template}`;
  });
  return [...new Set(names)];
}

/** A router that remembers its routes. */
class RecordingRouter extends Router {
  readonly registered: [HTTPMethod, string][] = [];

  constructor() {
    super(routerOptionsForTests());
  }

  override get(...route: Parameters<Router['get']>): void {
    this.registered.push(['GET', route[0]]);
    super.get(...route);
  }

  override on(...route: Parameters<Router['on']>): void {
    this.registered.push([route[0], route[1]]);
    super.on(...route);
  }
}
