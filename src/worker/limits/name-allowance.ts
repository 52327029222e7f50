/** Tracks how many bytes of names (channels, users) this worker may still add to those that the primary holds. */
export class NameAllowance {
  #bytes: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** Sets the bytes that remain, after the primary has counted all names added before. */
  renew(bytes: number): void {
    this.#bytes = bytes;
  }

  admits(bytes: number): boolean {
    return bytes <= Math.max(0, this.#bytes);
  }

  spend(bytes: number): void {
    this.#bytes -= bytes;
  }
}
