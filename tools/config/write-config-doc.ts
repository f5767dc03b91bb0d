/** Writes docs/operate/configuration.md; `make config-doc` runs it. */
import { writeFileSync } from "node:fs";
import { CONFIG_DOCUMENT, configDocument } from "./config-doc.js";

writeFileSync(CONFIG_DOCUMENT, configDocument());
