// Small numerical work as NumPy does it: in double precision, sums in their order.

/** n numbers from start to stop, both included. */
export function spread(start, stop, n) {
  const step = (stop - start) / (n - 1);
  return Float64Array.from({ length: n }, (_, i) => (i === n - 1 ? stop : i * step + start));
}

export const clip = (v, low, high) => Math.min(Math.max(v, low), high);

export function mean(values) {
  let sum = 0;
  for (const v of values) sum += v;
  return sum / values.length;
}

/** Their standard deviation. */
export function deviation(values) {
  const middle = mean(values);
  let sum = 0;
  for (const v of values) sum += (v - middle) ** 2;
  return Math.sqrt(sum / values.length);
}

/** What a share of the values does not exceed, between its neighbours. */
export function percentile(values, share) {
  const sorted = Float64Array.from(values).sort(), at = share * (sorted.length - 1), low = Math.floor(at);
  return low + 1 < sorted.length ? sorted[low] + (at - low) * (sorted[low + 1] - sorted[low]) : sorted[low];
}

export const median = (values) => percentile(values, 0.5);

/** Where the largest value lies, the first of several. */
export function argmax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** Solve rows (n arrays of n numbers) times x = right by elimination with pivots; null where there is no one solution. */
export function solve(rows, right) {
  const a = rows.map((row, i) => [...row, right[i]]), n = a.length;
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) if (Math.abs(a[i][k]) > Math.abs(a[pivot][k])) pivot = i;
    if (!a[pivot][k]) return null;
    [a[k], a[pivot]] = [a[pivot], a[k]];
    for (let i = k + 1; i < n; i++) {
      const by = a[i][k] / a[k][k];
      for (let j = k; by && j <= n; j++) a[i][j] -= by * a[k][j];
    }
  }
  const x = new Array(n);
  for (let k = n - 1; k >= 0; k--) {
    let rest = a[k][n];
    for (let j = k + 1; j < n; j++) rest -= a[k][j] * x[j];
    x[k] = rest / a[k][k];
  }
  return x;
}
