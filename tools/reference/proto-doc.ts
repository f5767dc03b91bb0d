/** The text of docs/reference/proto.md and operator-proto.md: every call, message and value. */
import type { DescEnum, DescField, DescMessage, DescService } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import type { Described, ProtoFile } from "./descriptors.js";
import { PATH, readProto, row, shortName } from "./descriptors.js";

/** Each document, and the proto file that it is written from. */
export const PROTO_DOCUMENTS = [
  {
    document: "docs/reference/proto.md",
    path: "lean/aggregator/v1/aggregator.proto",
    title: "The wire of nodes",
    others: "The operator's calls are on [a page of their own](operator-proto.md).",
  },
  {
    document: "docs/reference/operator-proto.md",
    path: "lean/aggregator/admin/v1/admin.proto",
    title: "The wire of the operator",
    others: "The calls of nodes are on [a page of their own](proto.md).",
  },
] as const;

export function protoDocument({ path, title, others }: (typeof PROTO_DOCUMENTS)[number]): string {
  const proto = readProto(path);
  const { file, about } = proto;
  const names = new Set([...file.messages, ...file.enums].map(({ typeName }) => typeName));
  const link: Link = (to) => (names.has(to.typeName) ? linkTo(to.name) : `\`${to.typeName}\``);
  const sections = [
    ...file.services.map((each, at) => serviceText(proto, each, [PATH.service, at], link)),
    "## Messages",
    ...file.messages.map((each, at) => messageText(proto, each, [PATH.message, at], link)),
    "## Enums",
    "On the wire in JSON, a value has its enum's name before it, such as `SKIP_REASON_IN_FLIGHT`.",
    ...file.enums.map((each, at) => enumText(proto, each, [PATH.enum, at])),
  ];
  return `# ${title}

<!-- Written by \`make reference\` from proto/${path}: change its comments instead. -->

Package \`${file.proto.package}\`, in [proto/${path}](../../proto/${path}). ${others}

${withLinks(about)}

${sections.join("\n\n")}
`;
}

type Link = (to: Described) => string;
type Path = readonly number[];

function serviceText({ commentOf }: ProtoFile, of: DescService, at: Path, link: Link): string {
  const calls = of.methods.map((method, index) => {
    const isStream = method.methodKind === "server_streaming";
    return row([
      `\`${method.name}\``,
      link(method.input),
      `${isStream ? "stream of " : ""}${link(method.output)}`,
      commentOf([...at, PATH.member, index]),
    ]);
  });
  const table = ["| call | takes | returns | |", "| --- | --- | --- | --- |", ...calls].join("\n");
  return join(`## ${of.name}`, commentOf(at), table);
}

function messageText({ commentOf }: ProtoFile, of: DescMessage, at: Path, link: Link): string {
  if (of.fields.length === 0) return join(`### ${of.name}`, commentOf(at), "It has no fields.");
  const fields = of.fields.map((field, index) =>
    row([
      String(field.number),
      `\`${field.name}\``,
      typeOf(field, link),
      [oneofText(field), commentOf([...at, PATH.member, index])].filter(Boolean).join(" "),
    ]),
  );
  const table = ["| | field | type | |", "| --- | --- | --- | --- |", ...fields].join("\n");
  return join(`### ${of.name}`, commentOf(at), table);
}

function enumText({ commentOf }: ProtoFile, of: DescEnum, at: Path): string {
  const values = of.values.map(({ number, name }, index) =>
    row([
      String(number),
      `\`${shortName(of, name)}\``,
      commentOf([...at, PATH.member, index]) || (number === 0 ? "Not set." : ""),
    ]),
  );
  const table = ["| | value | |", "| --- | --- | --- |", ...values].join("\n");
  return join(`### ${of.name}`, commentOf(at), table);
}

function typeOf(field: DescField, link: Link): string {
  const { fieldKind } = field;
  if (fieldKind === "map") throw new Error(`${field.name}: maps are not documented yet`);
  const of = field.message ?? field.enum;
  const name = of === undefined ? `\`${scalarName(field.scalar)}\`` : link(of);
  return fieldKind === "list" ? `list of ${name}` : name;
}

const scalarName = (scalar: ScalarType | undefined) =>
  scalar === undefined ? "" : (ScalarType[scalar]?.toLowerCase() ?? "");

/** A field of a oneof says so, and so does one whose absence differs from 0. */
function oneofText({ oneof, proto }: DescField): string {
  if (oneof !== undefined) return `One of \`${oneof.name}\`.`;
  return proto.proto3Optional ? "Optional." : "";
}

/** Documents that a comment names, as links. */
const withLinks = (text: string) =>
  text.replaceAll(/\b(docs|client)\/[\w/]+\.md/g, (path) => `[${path}](../../${path})`);
const linkTo = (name: string) => `[${name}](#${name.toLowerCase()})`;
const join = (...parts: string[]) => parts.filter(Boolean).join("\n\n");
