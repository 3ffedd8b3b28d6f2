/**
 * Reads from the head of a .NET assembly whether this processor can load it.
 *
 * ```text
 * 0x3c ► PE header: machine, sections, optional header ► data directory 14 ► CLI header: flags
 * ```
 *
 * @module
 */

/** Why a file cannot be loaded as an assembly by a process of this processor; undefined when it can. */
export function refuseAssembly(file: Uint8Array, arch: string): string | undefined {
  try {
    return judge(new DataView(file.buffer, file.byteOffset, file.byteLength), arch);
  } catch (error) {
    if (error instanceof RangeError) return "it is no .NET assembly: it ends within its headers";
    throw error;
  }
}

const PE_SIGNATURE = 0x00004550;
const MACHINES: Readonly<Record<number, string>> = { 0x8664: "x86_64", 0xaa64: "aarch64", 0x01c4: "arm" };
const ANY_MACHINE = 0x014c; // 32-bit x86, or any processor when it is pure IL
const PE32_PLUS = 0x20b;
const CLI_DIRECTORY = 14;
const FLAG_IL_ONLY = 0x1;
const FLAG_32_BIT_REQUIRED = 0x2;

function judge(view: DataView, arch: string): string | undefined {
  const pe = view.getUint16(0) === 0x4d5a ? view.getUint32(0x3c, true) : 0;
  if (pe === 0 || view.getUint32(pe, true) !== PE_SIGNATURE) return "it is no .NET assembly";
  const machine = view.getUint16(pe + 4, true);
  const sections = view.getUint16(pe + 6, true);
  const optionalSize = view.getUint16(pe + 20, true);
  const optional = pe + 24;
  const directories = optional + (view.getUint16(optional, true) === PE32_PLUS ? 112 : 96);
  const cli = view.getUint32(directories + 8 * CLI_DIRECTORY, true);
  if (cli === 0) return "it is a native library, and no .NET assembly";
  const wanted = MACHINES[machine];
  if (wanted !== undefined) return wanted === arch ? undefined : `it is for ${wanted}, and this is ${arch}`;
  if (machine !== ANY_MACHINE) return `it is for machine 0x${machine.toString(16)}, and this is ${arch}`;
  const flags = view.getUint32(fileOffset(view, optional + optionalSize, sections, cli) + 16, true);
  const isAny = (flags & FLAG_IL_ONLY) !== 0 && (flags & FLAG_32_BIT_REQUIRED) === 0;
  return isAny ? undefined : `it is for 32-bit x86, and this is ${arch}`;
}

/** Where in the file a relative virtual address is. */
function fileOffset(view: DataView, table: number, sections: number, address: number): number {
  for (let i = 0; i < sections; i++) {
    const at = table + 40 * i;
    const start = view.getUint32(at + 12, true);
    const size = Math.max(view.getUint32(at + 8, true), view.getUint32(at + 16, true));
    if (address >= start && address < start + size) return address - start + view.getUint32(at + 20, true);
  }
  throw new RangeError("The address is in no section");
}
