/** What installs a prover's backend: a make target in a checkout, a command in an installed package. */
import { existsSync } from "node:fs";
import { join } from "node:path";

/**
 * The command, for errors.
 *
 * @param rootPath folder of the package
 * @param backend the one that is missing; default: the one that the service ships
 */
export function setupCommand(rootPath: string, backend = "lean_pq"): string {
  const isCheckout = existsSync(join(rootPath, "Makefile"));
  if (backend === "lean_pq") return isCheckout ? "make setup" : "lean-aggregator setup";
  return isCheckout ? "make setup-multisig" : `lean-aggregator setup --with ${backend}`;
}
