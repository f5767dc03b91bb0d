/** Compiles blocks of TypeScript as files of their own, beside the client's sources. */
import { resolve } from "node:path";
import ts from "typescript";

export interface TypeScriptBlock {
  place: string;
  text: string;
  /** What the page declares before it, for this check alone. */
  declared: string;
}

const PACKAGE = "lean-aggregator-client";
const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  moduleDetection: ts.ModuleDetectionKind.Force,
  types: ["node"],
  strict: true,
  skipLibCheck: true,
  noEmit: true,
  paths: {
    [PACKAGE]: [resolve("client/index.ts")],
    [`${PACKAGE}/proto`]: [resolve("proto/gen/lean/aggregator/v1/aggregator_pb.ts")],
  },
};

/** Each error with the place of its block. */
export function typeErrors(blocks: readonly TypeScriptBlock[]): string[] {
  const texts = new Map(
    blocks.map(({ text, declared }, at) => [resolve(`block-${at}.ts`), `${declared}\n${text}`]),
  );
  const places = new Map([...texts.keys()].map((name, at) => [name, blocks[at]?.place ?? ""]));
  const host = ts.createCompilerHost(OPTIONS);
  const { fileExists, readFile } = host;
  host.fileExists = (name) => texts.has(name) || fileExists(name);
  host.readFile = (name) => texts.get(name) ?? readFile(name);
  const program = ts.createProgram([...texts.keys()], OPTIONS, host);
  return [...texts.keys()].flatMap((name) => {
    const file = program.getSourceFile(name);
    const found = [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
    ];
    return found.map(({ messageText }) => {
      const text = ts.flattenDiagnosticMessageText(messageText, " ");
      return `${places.get(name) ?? ""}: ${text}`;
    });
  });
}
