// Installs the pinned nats-server for tests, tools and the demo into build/nats-server, with the
// Python of the prover. `make setup` runs this script, which does nothing when the server is there.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fail, pipInstall } from "../../native/pip.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const FOLDER = join(ROOT, "build", "nats-server");
const PYTHON = join(ROOT, ".prover-venv", "bin", "python");
const REQUIREMENTS = join(ROOT, "tools", "fleet", "requirements.txt");
/** What is installed: a copy of the requirements. */
const STAMP = "installed.txt";

const wanted = readFileSync(REQUIREMENTS, "utf8");
const stamp = join(FOLDER, STAMP);
if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) install();

function install() {
  if (!existsSync(PYTHON)) fail("nats-server: there is no .prover-venv; run 'make setup'");
  // Beside its place and then renamed: two that install at once do not disturb each other.
  mkdirSync(dirname(FOLDER), { recursive: true });
  const folder = mkdtempSync(`${FOLDER}-`);
  pipInstall("nats-server", "the pinned wheel", PYTHON, ["--target", folder, "-r", REQUIREMENTS]);
  writeFileSync(join(folder, STAMP), wanted);
  rmSync(FOLDER, { recursive: true, force: true });
  try {
    renameSync(folder, FOLDER);
  } catch {
    rmSync(folder, { recursive: true, force: true }); // another one was faster
  }
}
