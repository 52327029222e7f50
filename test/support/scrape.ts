import { expect } from 'chai';

export interface ScrapedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The samples of one scrape. */
export class Scrape {
  readonly samples: readonly ScrapedSample[];
  readonly text: string;

  constructor(text: string) {
    this.text = text;
    this.samples = text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map(parseSample);
  }

  /** The value of the only sample with this name that has at least these labels; 0 without one. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const found = this.find(name, labels);
    expect(found.length, `samples of ${name} with ${JSON.stringify(labels)}`).to.be.at.most(1);
    return found[0]?.value ?? 0;
  }

  /** The sum of all samples with this name that have at least these labels. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.find(name, labels).reduce((sum, { value }) => sum + value, 0);
  }

  find(name: string, labels: Readonly<Record<string, string>> = {}): ScrapedSample[] {
    return this.samples.filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    );
  }
}

/** Scrapes `GET /metrics`. */
export async function scrape(api: string, headers: Record<string, string> = {}): Promise<Scrape> {
  const response = await fetch(`${api}/metrics`, { headers });
  expect(response.status).to.equal(200);
  return new Scrape(await response.text());
}

function parseSample(line: string): ScrapedSample {
  const [, name = '', list = '', value = ''] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
  expect(name, `a sample: ${line}`).not.to.equal('');
  const labels = [...list.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text]);
  return { name, labels: Object.fromEntries(labels), value: Number(value) };
}
