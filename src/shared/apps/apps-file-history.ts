/**
 * Whether the apps file has existed since the primary started. A file that has disappeared since is an error, and not the
 * deletion of all apps, in every process: also in a worker that started afterwards.
 */
export class AppsFileHistory {
  #existed: boolean;
  readonly #onFirstRead: (() => void) | undefined;

  /** `existed`: another process has read the file. `onFirstRead`: this process is the first one that has. */
  constructor(options: { existed?: boolean; onFirstRead?: () => void } = {}) {
    this.#existed = options.existed ?? false;
    this.#onFirstRead = options.onFirstRead;
  }

  get existed(): boolean {
    return this.#existed;
  }

  /** This process has read the file. */
  recordRead(): void {
    if (this.#existed) return;
    this.#existed = true;
    this.#onFirstRead?.();
  }

  /** Another process has read the file. */
  adopt(): void {
    this.#existed = true;
  }
}
