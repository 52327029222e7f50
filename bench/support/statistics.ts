export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Returns the value below which the fraction `q` of the values lies; NaN without values. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}
