import { expect } from 'chai';
import { createHistogram, observe } from '../../../src/shared/metrics/histogram.ts';
import {
  addStats,
  appLabel,
  countClose,
  countError,
  createStats,
  isStats,
  retiredStats,
} from '../../../src/shared/metrics/stats.ts';

describe('Stats', () => {
  it('add up field by field', () => {
    const [sum, one, other] = [createStats(), createStats(), createStats()];
    for (const stats of [one, other]) {
      stats.deliveries = 2;
      countError(stats, 'close', 'too_slow');
      observe(stats.authWebhook, 0.3);
      addStats(sum, stats);
    }
    countError(other, 'close', 'inactive');
    addStats(sum, other);
    expect(sum.deliveries).to.equal(6);
    expect(sum.errors).to.deep.equal({ 'close too_slow': 3, 'close inactive': 1 });
    expect(sum.authWebhook.sum).to.be.closeTo(0.9, 1e-9);
    expect(sum.authWebhook.counts.reduce((total, count) => total + count)).to.equal(3);
    expect(one.deliveries, 'the sources stay as they are').to.equal(2);
  });

  it('of an exited process keep the counters, and count open connections as closed', () => {
    const stats = createStats();
    stats.connections.pusher = 3;
    stats.connectionsOpened.pusher = 4;
    stats.subscriptions = 5;
    countClose(stats, 'client', 1000);
    const retired = retiredStats(stats);
    expect(retired.connections).to.deep.equal({ gusher: 0, pusher: 0 });
    expect(retired.subscriptions).to.equal(0);
    expect(retired.connectionsOpened.pusher).to.equal(4);
    expect(retired.closes).to.deep.equal({ 'client 1000': 1, 'worker 1006': 3 });
  });

  it('count unusual close codes of clients together', () => {
    const stats = createStats();
    for (let code = 3000; code < 3100; code += 1) countClose(stats, 'client', code);
    countClose(stats, 'server', 4101);
    expect(stats.closes).to.deep.equal({ 'client other': 100, 'server 4101': 1 });
  });

  it('survive the pipe with any app key', () => {
    const stats = createStats();
    stats.apps[appLabel('__proto__')] = { connections: 1, publications: 0, deliveries: 0 };
    const received: unknown = JSON.parse(JSON.stringify(stats));
    expect(isStats(received)).to.equal(true);
    const sum = createStats();
    if (isStats(received)) addStats(sum, received);
    expect(sum).to.deep.equal(stats);
    expect({}).not.to.have.property('connections');
  });
});

describe('Histogram', () => {
  it('counts each observation in the first bucket that holds it', () => {
    const histogram = createHistogram();
    for (const seconds of [0.0001, 0.00011, 10, 11, -1]) observe(histogram, seconds);
    expect(histogram.counts.slice(0, 2)).to.deep.equal([2, 1]);
    expect(histogram.counts.slice(-2)).to.deep.equal([1, 1]);
    expect(histogram.sum).to.be.closeTo(21.00021, 1e-9);
  });
});
