/**
 * The JSON schemas of the events and effects of the adapter's machine and of the growing candidate,
 * made from their types in `client/machine`, so that both say the same.
 */
import ts from "typescript";

type Schema = Record<string, unknown>;

/** Where a type is, the file of its schema, and its title. */
const TYPES = [
  ["events.ts", "AdapterEvent", "event.json", "An event that the adapter's machine takes"],
  ["events.ts", "AdapterEffect", "effect.json", "An effect that the adapter's machine returns"],
  ["candidate.ts", "CandidateEvent", "candidate-event.json", "An event that a candidate takes"],
  ["candidate.ts", "CandidateEffect", "candidate-effect.json", "An effect of a candidate"],
] as const;

/** Returns the schemas' texts by the name of their file. */
export function schemaFiles(): Map<string, string> {
  const sources = [...new Set(TYPES.map(([source]) => `client/machine/${source}`))];
  const program = ts.createProgram(sources, { strict: true, target: ts.ScriptTarget.ES2022 });
  const checker = program.getTypeChecker();
  const schemas = new Schemas(checker);
  return new Map(
    TYPES.map(([name, alias, file, title]) => {
      const source = program.getSourceFile(`client/machine/${name}`);
      const module = source && checker.getSymbolAtLocation(source);
      if (module === undefined) throw new Error(`${name} is no module`);
      const symbol = checker.getExportsOfModule(module).find((each) => each.name === alias);
      if (symbol === undefined) throw new Error(`${name} exports no ${alias}`);
      const schema = schemas.of(checker.getDeclaredTypeOfSymbol(symbol));
      const head = { $schema: "https://json-schema.org/draft/2020-12/schema", title };
      return [file, `${JSON.stringify({ ...head, ...schema }, null, 2)}\n`];
    }),
  );
}

class Schemas {
  constructor(private readonly checker: ts.TypeChecker) {}

  of(type: ts.Type): Schema {
    // The payload, which the machine only carries.
    if (type.flags & ts.TypeFlags.TypeParameter) return { type: "string" };
    if (type.flags & ts.TypeFlags.String) return { type: "string" };
    if (type.flags & ts.TypeFlags.Number) return { type: "integer" };
    if (type.flags & ts.TypeFlags.Null) return { type: "null" };
    if (type.flags & ts.TypeFlags.Boolean) return { type: "boolean" };
    if (type.isStringLiteral()) return { const: type.value };
    if (type.isUnion()) return this.ofUnion(type);
    if (type.getSymbol()?.name === "Uint8Array")
      return { type: "string", pattern: "^([0-9a-f]{2})*$" };
    const [item] = this.checker.isArrayType(type)
      ? this.checker.getTypeArguments(type as ts.TypeReference)
      : [];
    return item === undefined ? this.ofObject(type) : { type: "array", items: this.of(item) };
  }

  private ofUnion({ types }: ts.UnionType): Schema {
    const some = types.filter(({ flags }) => !(flags & ts.TypeFlags.Undefined));
    const literals = some.flatMap((each) => (each.isStringLiteral() ? [each.value] : []));
    if (literals.length === some.length) return { enum: literals };
    const isBoolean = ({ flags }: ts.Type) => (flags & ts.TypeFlags.BooleanLiteral) !== 0;
    const rest = some.filter((each) => !isBoolean(each)).map((each) => this.of(each));
    const all = some.some(isBoolean) ? [...rest, { type: "boolean" }] : rest;
    const [only] = all;
    return only !== undefined && all.length === 1 ? only : { anyOf: all };
  }

  private ofObject(type: ts.Type): Schema {
    const properties: Record<string, Schema> = {};
    const required: string[] = [];
    for (const symbol of type.getProperties()) {
      const description = ts.displayPartsToString(symbol.getDocumentationComment(this.checker));
      const schema = this.of(this.checker.getTypeOfSymbol(symbol));
      const text = description.replaceAll("\n", " ");
      properties[symbol.name] = text === "" ? schema : { description: text, ...schema };
      if (!(symbol.flags & ts.SymbolFlags.Optional)) required.push(symbol.name);
    }
    return { type: "object", properties, required, additionalProperties: false };
  }
}
