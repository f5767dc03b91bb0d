/** The proto files with their comments, as `buf` reads them. */
import { spawnSync } from "node:child_process";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import type { DescEnum, DescFile, DescMessage, DescService } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

export interface ProtoFile {
  file: DescFile;
  /** The comment above an element, on one line; empty without one. */
  commentOf(path: readonly number[]): string;
  /** The comment of the package. */
  about: string;
}

/** Numbers of the fields of a FileDescriptorProto and below, by which a comment names its element. */
export const PATH = { package: 2, message: 4, enum: 5, service: 6, member: 2 } as const;

const BYTES_MAX = 16 * 1024 * 1024;

/** Reads one file below `proto/`. Throws with what `buf` says when it does not compile. */
export function readProto(path: string): ProtoFile {
  const args = ["buf", "build", "proto", "-o", "-#format=binpb"];
  const { stdout, stderr, status } = spawnSync("npx", args, { maxBuffer: BYTES_MAX });
  if (status !== 0) throw new Error(`buf build failed: ${stderr.toString()}`);
  const set = fromBinary(FileDescriptorSetSchema, stdout);
  const file = createFileRegistry(set).getFile(path);
  if (file === undefined) throw new Error(`proto/${path} is not there`);
  const locations = file.proto.sourceCodeInfo?.location ?? [];
  const comments = new Map(
    locations.map(({ path: at, leadingComments }) => [at.join("."), oneLine(leadingComments)]),
  );
  const commentOf = (at: readonly number[]) => comments.get(at.join(".")) ?? "";
  return { file, commentOf, about: commentOf([PATH.package]) };
}

/** Each value of an enum but UNSPECIFIED, without the enum's prefix, with its comment. */
export function valuesOf({ file, commentOf }: ProtoFile, name: string): [string, string][] {
  const at = file.enums.findIndex((each) => each.name === name);
  const found = file.enums[at];
  if (found === undefined) throw new Error(`no enum ${name}`);
  return found.values.flatMap((value, index): [string, string][] => {
    if (value.number === 0) return [];
    const comment = commentOf([PATH.enum, at, PATH.member, index]);
    return [[shortName(found, value.name), comment]];
  });
}

/** `SKIP_REASON_IN_FLIGHT` as `IN_FLIGHT`, as documents and logs say it. */
export function shortName(of: DescEnum, name: string): string {
  const prefix = of.name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
  return name.startsWith(`${prefix}_`) ? name.slice(prefix.length + 1) : name;
}

export type Described = DescEnum | DescMessage | DescService;

/** A row of a table in Markdown. */
export function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

const oneLine = (text: string) => text.replaceAll(/\s+/g, " ").trim();
