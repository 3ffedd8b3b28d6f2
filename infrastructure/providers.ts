/**
 * How environments of providers are named, by the rules of the original. Pure, but for the look for a graphics card.
 *
 * @module
 */

import { childEnvironment, runChild } from "./child.ts";
import type { Context } from "./context.ts";

/** What computes: a kind of graphics card, or none. */
export type ComputeBackend = "rocm" | "cuda" | "vulkan" | "cpu";

/** How environments for ROCm are shared: one for each model, one for each family of models, or a single one. */
export type RocmStrategy = "model" | "family" | "single";

const SUFFIX_REGEXP = /-(rocm|cuda|vulkan|cpu)$/;

/** A model's id as part of a name: every character but letters, digits, `-` and `_` becomes `-`. */
export function slugifyModelId(modelId: string): string {
  return modelId.replace(/[^\p{L}\p{Nd}_-]/gu, "-");
}

/** The compute backend that a provider's name ends with, or undefined. */
export function backendOfProvider(provider: string): ComputeBackend | undefined {
  return SUFFIX_REGEXP.exec(provider.toLowerCase())?.[1] as ComputeBackend | undefined;
}

/** A provider's name with its compute backend, unless it has one or needs none (`embeddings`). */
export function appendBackendSuffix(provider: string, backend: ComputeBackend): string {
  if (backendOfProvider(provider) !== undefined || provider.toLowerCase() === "embeddings") return provider;
  return `${provider}-${backend}`;
}

/** The name of the environment of a provider whose compute backend is already in its name. */
export function providerEnvironmentName(
  provider: string,
  modelId?: string,
  strategy: RocmStrategy = "model",
): string {
  if (!provider.includes("-rocm")) return shorten(provider);
  if (strategy === "single") return "rocm";
  if (strategy === "family") return shorten(`${provider.split("-")[0]}-rocm`);
  return shorten(modelId ? `${provider}-${slugifyModelId(modelId)}` : provider);
}

const LONGEST_NAME = 64;

/** Names have a limit; what is cut off still tells one from another by its hash. */
function shorten(name: string): string {
  // Letters beyond ASCII cannot stand in a name; their hash can.
  const plain = name.replace(/[^A-Za-z0-9._-]/g, "-").replace(/^[^A-Za-z0-9]+/, "").replace(/\.+$/, "");
  if (plain === name && name.length <= LONGEST_NAME) return name;
  const hash = fnv1a(name).toString(16).padStart(8, "0");
  return `${plain.slice(0, LONGEST_NAME - 9) || "provider"}-${hash}`;
}

/** The FNV-1a hash of a text: enough to keep names apart, and there without waiting. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** The programs that answer when a kind of graphics card is there, in the order of the original. */
const WITNESSES: readonly (readonly [string, ComputeBackend])[] = [
  ["rocm-smi", "rocm"],
  ["nvidia-smi", "cuda"],
  ["vulkaninfo", "vulkan"],
];

/** Finds out what computes on this machine: a program that cannot be started or fails counts as no card. */
export async function detectComputeBackend(context: Context, signal?: AbortSignal): Promise<ComputeBackend> {
  for (const [program, backend] of WITNESSES) {
    try {
      const env = childEnvironment(context.environment);
      const result = await runChild(context.io, context.os, program, {
        args: [],
        env,
        timeoutMs: 5_000,
        signal,
      });
      if (result.code === 0) return backend;
    } catch (error) {
      signal?.throwIfAborted();
      context.logger.debug("No answer from a graphics card's program", program, error);
    }
  }
  return "cpu";
}
