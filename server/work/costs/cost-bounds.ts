/**
 * What a cost model from elsewhere, a file or another host, has to keep so that each of its predictions
 * is a positive, finite number: the bounds of its values, and a covariance that is one.
 */
import { freshCostModel, SCATTER_MIN } from "./cost-model.js";

export const costBounds = {
  coefficients: freshCostModel.logMs.length,
  /** Of the absolute value of a logarithm: from 2 ps to 5 days. */
  logMax: 20,
  /** Of the absolute value of an entry of the covariance: twice what it is before any proof. */
  covarianceMax: 1,
  /** No model learns less. */
  scatterMin: SCATTER_MIN,
  scatterMax: 1,
} as const;

/** Rounding error that is accepted in the covariance. */
const ROUNDING = 1e-9;

/** True when the matrix is symmetric and positive semidefinite, by Cholesky's decomposition. */
export function isCovariance(rows: readonly (readonly number[])[]): boolean {
  const of = (row: number, column: number) => rows[row]?.[column] ?? NaN;
  const lower = rows.map(() => rows.map(() => 0));
  for (const [row, left] of lower.entries()) {
    for (const [column, right] of lower.slice(0, row + 1).entries()) {
      if (Math.abs(of(row, column) - of(column, row)) > ROUNDING) return false;
      const rest = left.reduce((sum, value, at) => sum - value * (right[at] ?? 0), of(row, column));
      if (column < row) left[column] = rest / (right[column] ?? 1);
      else if (rest + ROUNDING <= 0) return false;
      else left[column] = Math.sqrt(rest + ROUNDING);
    }
  }
  return true;
}
