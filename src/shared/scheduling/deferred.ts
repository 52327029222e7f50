/** A promise that its owner settles, for results that arrive as events. */
export class Deferred<T = void> {
  readonly promise: Promise<T>;
  #resolve: (value: T) => void = ignoreBeforeInitialization;
  #reject: (error: Error) => void = ignoreBeforeInitialization;

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  resolve(value: T): void {
    this.#resolve(value);
  }

  reject(error: Error): void {
    this.#reject(error);
  }
}

function ignoreBeforeInitialization(): void {}
