import { expect } from 'chai';
import { isPublicPost } from '../../../src/primary/listeners/allowed-posts.ts';

describe('a POST on the public port', () => {
  const passes = (path: string, method = 'POST', prefix = ''): boolean => isPublicPost(method, path, prefix);

  it('passes to the addresses of the Pusher HTTP API that take one', () => {
    expect(passes('/apps/3/events')).to.equal(true);
    expect(passes('/apps/3/batch_events/')).to.equal(true);
    expect(passes('/apps/3/users/a/b/terminate_connections')).to.equal(true);
    expect(passes('/apps/3/channels/news/events')).to.equal(true);
  });

  it('passes with and without the prefix', () => {
    expect(passes('/pusher/apps/3/events', 'POST', '/pusher')).to.equal(true);
    expect(passes('/apps/3/events', 'POST', '/pusher')).to.equal(true);
    expect(passes('/other/apps/3/events', 'POST', '/pusher')).to.equal(false);
  });

  it('is not let in with another method or to another address', () => {
    for (const method of ['PUT', 'DELETE', 'PATCH', 'post', '']) {
      expect(passes('/apps/3/events', method), method).to.equal(false);
    }
    for (const path of [
      '/',
      '/apps/3',
      '/apps//events',
      '/apps/3/channels',
      '/apps/3/eventsx',
      '/v1/apps/x',
      '',
    ]) {
      expect(passes(path), path).to.equal(false);
    }
  });
});
