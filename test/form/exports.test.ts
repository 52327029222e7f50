import { expect } from 'chai';
import { readSources, type SourceFile } from '../support/source-files.ts';

/** Values that only their own file and tests use: tests compare them with documents, or probe them directly. */
const FOR_TESTS: readonly string[] = [
  'primary/process/signals.ts isUnderNohup',
  'shared/ipc/pipe-frame.ts TOPIC_MAX_BYTES',
  'worker/api/openapi/paths/apps.ts APP_FIELD_SCHEMAS',
  'worker/connection/client-socket.ts WS_CLOSE_CODES',
  'worker/handshake/pusher/pusher-path.ts pusherPaths',
  'worker/protocols/pusher/close-codes.ts PUSHER_CLOSE_CODES',
  'worker/protocols/pusher/close-codes.ts PUSHER_ERROR_CODES',
];

const VALUE = /^export (?:async )?(?:const|function\*?|class|abstract class) (\w+)/gm;
const TYPE = /^export (?:interface|type) (\w+)/gm;

describe('the exports of src', () => {
  const sources = readSources();

  it('are imported by another file, if they are values', () => {
    const unused = exportsOf(VALUE).filter(({ file, name }) => !isUsedElsewhere(file, name));
    const shown = unused.map(({ file, name }) => `${file.path} ${name}`);
    expect(shown, 'exported values that no other file of src uses').to.deep.equal(FOR_TESTS);
  });

  it('are used at least in their own file, if they are types', () => {
    const unused = exportsOf(TYPE).filter(
      ({ file, name }) => !isUsedElsewhere(file, name) && usesOf(file.text, name) < 2,
    );
    const shown = unused.map(({ file, name }) => `${file.path} ${name}`);
    expect(shown, 'exported types that no file of src uses').to.deep.equal([]);
  });

  function exportsOf(form: RegExp): { file: SourceFile; name: string }[] {
    return sources.flatMap((file) => [...file.text.matchAll(form)].map(([, name = '']) => ({ file, name })));
  }

  function isUsedElsewhere({ path }: SourceFile, name: string): boolean {
    return sources.some(
      ({ text, imports }) =>
        imports.some((one) => one.kind === 'file' && one.path === path) && usesOf(text, name) > 0,
    );
  }
});

function usesOf(text: string, name: string): number {
  return text.split(new RegExp(`\\b${name}\\b`)).length - 1;
}
