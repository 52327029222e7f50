import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type EnvFile, readEnvFile } from '../../../src/primary/cli/env-file.ts';

const NAMES = new Set(['GUSHER_API_TOKEN', 'GUSHER_WORKERS', 'REDIS_ADDR']);

describe('readEnvFile', () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'gusher-env-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  function read(content: string | Buffer): EnvFile {
    const path = join(folder, '.env');
    writeFileSync(path, content);
    return readEnvFile(path, NAMES);
  }

  const sound: [content: string, token: string][] = [
    ['GUSHER_API_TOKEN=abc', 'abc'],
    ['GUSHER_API_TOKEN=abc # a comment', 'abc'],
    ['GUSHER_API_TOKEN=abc\t# a comment', 'abc'],
    ['GUSHER_API_TOKEN= # a comment', ''],
    ['GUSHER_API_TOKEN="a#b" # a comment', 'a#b'],
    ["export GUSHER_API_TOKEN='a#b'", 'a#b'],
    ['GUSHER_API_TOKEN: abc\r\nOTHER=x#y\r\n', 'abc'],
    ['GUSHER_API_TOKEN="two\nGUSHER_WORKERS=#lines"', 'two\nGUSHER_WORKERS=#lines'],
    ['# GUSHER_API_TOKEN=a#b\nGUSHER_API_TOKEN=abc', 'abc'],
    ['\ufeffGUSHER_API_TOKEN=abc', 'abc'],
    ["GUSHER_API_TOKEN=it's", "it's"],
  ];
  for (const [content, token] of sound) {
    it(`reads ${JSON.stringify(content)}`, () => {
      const { values, errors, warnings } = read(content);
      expect({ token: values.GUSHER_API_TOKEN, errors, warnings }).to.deep.equal({
        token,
        errors: [],
        warnings: [],
      });
    });
  }

  const wrong: [content: string, error: RegExp][] = [
    ['GUSHER_API_TOKEN=hush#hush', /^GUSHER_API_TOKEN in .* is cut off at an unquoted #; quote the value/],
    ['export GUSHER_API_TOKEN=#hush', /^GUSHER_API_TOKEN in .* is cut off at an unquoted #/],
    ['X=1\nREDIS_ADDR=redis://:hu#sh@h\nY=2', /^REDIS_ADDR in .* is cut off at an unquoted #/],
    ['GUSHER_API_TOKEN="hush"#hush', /^GUSHER_API_TOKEN in .* is cut off at an unquoted #/],
    ['GUSHER_API_TOKEN="hush', /^GUSHER_API_TOKEN in .* has unbalanced quotes/],
    ["GUSHER_API_TOKEN='hush'sh", /^GUSHER_API_TOKEN in .* has unbalanced quotes/],
    ['GUSHER_API_TOKEN hush', /^GUSHER_API_TOKEN in .* must be followed by = and a value$/],
  ];
  for (const [content, error] of wrong) {
    it(`reports one error without the value for ${JSON.stringify(content)}`, () => {
      const { errors } = read(content);
      expect(errors).to.have.lengthOf(1);
      expect(errors[0]).to.match(error).and.not.contain('hush');
    });
  }

  for (const [kind, bytes] of [
    ['UTF-16 with a mark', Buffer.from('\ufeffGUSHER_WORKERS=4', 'utf16le')],
    ['UTF-16 without one', Buffer.from('GUSHER_WORKERS=4', 'utf16le')],
    ['UTF-16 of the other order', Buffer.from('\ufeffGUSHER_WORKERS=4', 'utf16le').swap16()],
    ['Latin-1', Buffer.from('GUSHER_API_TOKEN=h\u00fcsh', 'latin1')],
  ] as const) {
    it(`rejects a file in ${kind}`, () => {
      const { values, errors } = read(bytes);
      expect(values).to.deep.equal({});
      expect(errors).to.have.lengthOf(1);
      expect(errors[0]).to.match(/must be UTF-8 text/);
    });
  }

  it('warns if a name is set twice', () => {
    const { values, warnings } = read('GUSHER_WORKERS=1\nX=1\nX=2\nGUSHER_WORKERS=2');
    expect(values.GUSHER_WORKERS).to.equal('2');
    expect(warnings).to.have.lengthOf(1);
    expect(warnings[0]).to.match(/^GUSHER_WORKERS is set more than once in /);
  });

  it('reports errors only for the given names', () => {
    expect(read('GUSHER_LISTEN=a#b').errors).to.deep.equal([]);
  });

  it('takes linear time', () => {
    const shapes = [' ', 'GUSHER_WORKERS', 'A=', '"', "A='", '#', 'export ', 'A: ', '\\"'];
    const times = shapes.map((shape) => {
      const durations = [4_000, 16_000].map((count) => {
        const text = shape.repeat(count);
        const start = performance.now();
        read(text);
        return performance.now() - start;
      });
      return { shape, growth: (durations[1] ?? 0) / Math.max(durations[0] ?? 0, 5) };
    });
    // Quadratic work would grow by 16.
    expect(times.filter(({ growth }) => growth > 10)).to.deep.equal([]);
  });
});
