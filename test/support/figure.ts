/** One line of the benchmark table: medians, and their ratio to a raw baseline of the same run. */
export interface Figure {
  readonly name: string;
  readonly ours: number;
  readonly baseline: number;
  readonly ratio: number;
  readonly unit: string;
}

/** From the milliseconds of interleaved rounds. */
export function toFigure(
  name: string,
  times: { readonly ours: readonly number[]; readonly baseline: readonly number[] },
): Figure {
  const ours = median(times.ours);
  const baseline = median(times.baseline);
  return { name, ours, baseline, ratio: ours / baseline, unit: 'ms' };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
