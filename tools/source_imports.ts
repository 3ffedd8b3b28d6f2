/**
 * What a TypeScript source imports, read from its syntax tree: text search would see imports in comments and strings.
 *
 * @module
 */

import { parse } from "npm:@babel/parser@^8.1.2";

/** One import or re-export of a source. */
export interface SourceImport {
  /** As written. */
  readonly specifier: string;
  /** Whether only types come by it: then nothing is loaded. */
  readonly isTypeOnly: boolean;
  /** Whether it is an `import()` expression. */
  readonly isDynamic: boolean;
  /** The `type` of its `with { … }`. */
  readonly attributeType?: string;
  /** 1-based. */
  readonly line: number;
}

/** What is known of one source. */
export interface ParsedSource {
  /** Path from the root of the repository, with `/`. */
  readonly path: string;
  /** In the order in which they stand. */
  readonly imports: readonly SourceImport[];
  /** Lines that name the global `Deno`, in code or in types. */
  readonly denoLines: readonly number[];
}

/** A node of the tree, as far as it is of use here. */
interface Node {
  readonly type: string;
  readonly loc?: { readonly start: { readonly line: number } };
  readonly [key: string]: unknown;
}

/** Reads the imports of a source. */
export function parseSource(path: string, text: string): ParsedSource {
  // What is wrong with a source is for the type checker to say.
  const { program } = parse(text, { sourceType: "module", plugins: ["typescript"], errorRecovery: true });
  const imports: SourceImport[] = [];
  const denoLines: number[] = [];
  for (const node of descendants(program as unknown as Node)) {
    const line = node.loc?.start.line ?? 0;
    if (node.type === "Identifier" && node.name === "Deno") denoLines.push(line);
    const found = readImport(node);
    if (found !== undefined) imports.push({ ...found, line });
  }
  return { path, imports, denoLines };
}

function readImport(node: Node): Omit<SourceImport, "line"> | undefined {
  switch (node.type) {
    case "ImportDeclaration":
    case "ExportNamedDeclaration":
    case "ExportAllDeclaration": {
      if (!isNode(node.source)) return undefined;
      const attributeType = readAttributeType(node.attributes);
      return {
        specifier: String(node.source.value),
        isTypeOnly: isTypeOnly(node),
        isDynamic: false,
        ...(attributeType !== undefined && { attributeType }),
      };
    }
    case "ImportExpression": {
      if (!isNode(node.source) || node.source.type !== "StringLiteral") return undefined;
      // import(x, { with: { type: "text" } })
      const attributes = isNode(node.options) ? [...descendants(node.options)] : [];
      const attributeType = readAttributeType(attributes);
      return {
        specifier: String(node.source.value),
        isTypeOnly: false,
        isDynamic: true,
        ...(attributeType !== undefined && { attributeType }),
      };
    }
    case "TSImportType": {
      const literal = [...descendants(node)].find((inner) => inner.type === "StringLiteral");
      return literal && { specifier: String(literal.value), isTypeOnly: true, isDynamic: false };
    }
  }
}

function isTypeOnly(node: Node): boolean {
  if (node.importKind === "type" || node.exportKind === "type") return true;
  const specifiers = Array.isArray(node.specifiers) ? node.specifiers.filter(isNode) : [];
  return specifiers.length > 0 &&
    specifiers.every((one) => one.importKind === "type" || one.exportKind === "type");
}

function readAttributeType(attributes: unknown): string | undefined {
  if (!Array.isArray(attributes)) return undefined;
  const found = attributes.filter(isNode).find((one) =>
    isNode(one.key) && (one.key.name ?? one.key.value) === "type" && isNode(one.value) &&
    one.value.type === "StringLiteral"
  );
  return found && isNode(found.value) ? String(found.value.value) : undefined;
}

function* descendants(node: Node): Generator<Node> {
  yield node;
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isNode(child)) yield* descendants(child);
    }
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}
