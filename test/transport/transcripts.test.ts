/** What the adapter does on the wire, by the transcripts that every language holds. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "vitest";
import { runTranscript } from "./transcripts/run-transcript.js";
import type { Transcript } from "./transcripts/transcript.js";

const folder = new URL("../vectors/transcripts/", import.meta.url);

describe("transcripts", { concurrent: true }, () => {
  for (const file of readdirSync(folder)) {
    const transcript = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Transcript;
    it(`${file}: ${transcript.name}`, () => runTranscript(transcript));
  }
});
