/** Writes docs/operate/metrics.md; `make metrics-doc` runs it. */
import { writeFileSync } from "node:fs";
import { METRICS_DOCUMENT, metricsDocument } from "./metrics-doc.js";

writeFileSync(METRICS_DOCUMENT, await metricsDocument(process.cwd()));
