/**
 * Where packages come from: pip's settings, read once and given to pip and uv alike, so that a user's mirror is never
 * lost by a change of installer. (uv reads none of pip's settings by itself.)
 *
 * @module
 */

import { resolve, toFileUrl } from "@std/path";
import type { Context } from "./context.ts";
import { joinFor } from "./discovery.ts";
import { readTextIfThere } from "./files.ts";

/** Where packages come from. */
export interface IndexSettings {
  /** The index; undefined means PyPI. */
  readonly indexUrl?: string;
  /** More indexes. With uv, the first that knows a package decides; pip mixes them. */
  readonly extraIndexUrls?: readonly string[];
  /** Directories and pages with archives. */
  readonly findLinks?: readonly string[];
  /** Whether no index is asked at all. */
  readonly noIndex?: boolean;
  /** Hosts whose certificate is not checked. */
  readonly trustedHosts?: readonly string[];
  /** A file with certificates of authorities. */
  readonly certificates?: string;
  /** A file with the certificate, and its key, that servers want of the client. */
  readonly clientCertificate?: string;
  /** The proxy that servers are reached by. */
  readonly proxy?: string;
  /** How long a silent server is waited for, in seconds. */
  readonly timeoutSeconds?: number;
}

/** pip's configuration files, weakest first. */
export function pipConfigPaths(context: Context): string[] {
  const { os, environment } = context;
  const explicit = environment("PIP_CONFIG_FILE");
  // pip: the null device here means that no file is read at all.
  if (explicit === "/dev/null" || explicit === "nul") return [];
  const paths: string[] = [];
  const add = (directory: string | undefined, ...rest: string[]): void => {
    if (directory) paths.push(joinFor(os, directory, ...rest));
  };
  const home = environment("HOME") ?? environment("USERPROFILE");
  if (os === "windows") {
    add(environment("PROGRAMDATA"), "pip", "pip.ini");
    add(home, "pip", "pip.ini");
    add(environment("APPDATA"), "pip", "pip.ini");
  } else {
    for (const directory of (environment("XDG_CONFIG_DIRS") || "/etc/xdg").split(":").reverse()) {
      add(directory, "pip", "pip.conf");
    }
    if (os === "darwin") add("/Library/Application Support", "pip", "pip.conf");
    paths.push("/etc/pip.conf");
    add(home, ".pip", "pip.conf");
    if (os === "darwin") add(home, "Library", "Application Support", "pip", "pip.conf");
    add(environment("XDG_CONFIG_HOME") || (home && `${home}/.config`), "pip", "pip.conf");
  }
  add(environment("VIRTUAL_ENV"), os === "windows" ? "pip.ini" : "pip.conf");
  if (explicit) paths.push(explicit);
  return paths;
}

/** Reads a pip configuration file; `[install]` is stronger than `[global]`. */
export function parsePipConfig(text: string): Map<string, string> {
  const sections = new Map<string, Map<string, string>>();
  let section = "";
  let key = "";
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*([#;]|$)/.test(line)) continue;
    const header = /^\[([^\]]+)\]/.exec(line);
    if (header !== null) {
      section = header[1]!;
      key = "";
    } else if (/^\s/.test(line) && key !== "") {
      const values = sections.get(section)!;
      values.set(key, `${values.get(key)!}\n${line.trim()}`);
    } else {
      const match = /^([^=:]+?)\s*[=:]\s*(.*)$/.exec(line);
      if (match === null) continue;
      key = match[1]!.trim().toLowerCase().replaceAll("_", "-");
      const values = sections.get(section) ?? new Map<string, string>();
      sections.set(section, values.set(key, match[2]!.trim()));
    }
  }
  return new Map([...sections.get("global") ?? [], ...sections.get("install") ?? []]);
}

function words(text: string | undefined): string[] | undefined {
  const list = text?.split(/\s+/).filter((word) => word !== "") ?? [];
  return list.length === 0 ? undefined : list;
}

/** The settings of pip that are carried over. */
const PIP_KEYS: readonly string[] = [
  "index-url",
  "extra-index-url",
  "find-links",
  "no-index",
  "trusted-host",
  "cert",
  "client-cert",
  "proxy",
  "timeout",
  "default-timeout",
];

/** Collects the settings that pip would use: its files, then its variables. */
export async function readIndexSettings(context: Context): Promise<IndexSettings> {
  const values = new Map<string, string>();
  const texts = await Promise.all(
    pipConfigPaths(context).map(async (path) => {
      try {
        return await readTextIfThere(context.io, path);
      } catch (error) {
        context.logger.debug("Cannot read pip's settings", path, error);
        return undefined;
      }
    }),
  );
  for (const text of texts) {
    if (text !== undefined) { for (const [key, value] of parsePipConfig(text)) values.set(key, value); }
  }
  for (const key of PIP_KEYS) {
    const value = context.environment(`PIP_${key.toUpperCase().replaceAll("-", "_")}`);
    if (value) values.set(key, value);
  }
  const timeout = Number(values.get("timeout") ?? values.get("default-timeout"));
  const indexUrl = values.get("index-url");
  const extraIndexUrls = words(values.get("extra-index-url"));
  const findLinks = words(values.get("find-links"));
  const trustedHosts = words(values.get("trusted-host"));
  const certificates = values.get("cert");
  const clientCertificate = values.get("client-cert");
  const proxy = values.get("proxy");
  const settings: IndexSettings = {
    ...(indexUrl ? { indexUrl } : {}),
    ...(extraIndexUrls ? { extraIndexUrls } : {}),
    ...(findLinks ? { findLinks } : {}),
    ...(/^(1|true|yes|on)$/i.test(values.get("no-index") ?? "") ? { noIndex: true } : {}),
    ...(trustedHosts ? { trustedHosts } : {}),
    ...(certificates ? { certificates } : {}),
    ...(clientCertificate ? { clientCertificate } : {}),
    ...(proxy ? { proxy } : {}),
    ...(Number.isFinite(timeout) && timeout > 0 ? { timeoutSeconds: timeout } : {}),
  };
  found.add(settings);
  return settings;
}

/** Settings that were found, and not given by a caller. */
const found = new WeakSet<IndexSettings>();

/** A path as a URL where it would be taken for several words, as in variables that hold lists. */
export function oneWord(link: string): string {
  if (!/[\s,]/.test(link) || /^[a-z][a-z0-9+.-]+:\/\//i.test(link)) return link;
  return toFileUrl(resolve(link)).href.replaceAll(",", "%2C");
}

/** The settings as variables for pip, which is then told to read no file. */
export function pipVariables(settings: IndexSettings, os: string): Record<string, string> {
  return {
    PIP_CONFIG_FILE: os === "windows" ? "nul" : "/dev/null",
    PIP_DISABLE_PIP_VERSION_CHECK: "1",
    PIP_NO_INPUT: "1",
    ...(settings.indexUrl ? { PIP_INDEX_URL: settings.indexUrl } : {}),
    ...(settings.extraIndexUrls ? { PIP_EXTRA_INDEX_URL: settings.extraIndexUrls.join(" ") } : {}),
    ...(settings.findLinks ? { PIP_FIND_LINKS: settings.findLinks.map(oneWord).join(" ") } : {}),
    ...(settings.noIndex ? { PIP_NO_INDEX: "1" } : {}),
    ...(settings.trustedHosts ? { PIP_TRUSTED_HOST: settings.trustedHosts.join(" ") } : {}),
    ...(settings.certificates ? { PIP_CERT: settings.certificates } : {}),
    ...(settings.clientCertificate ? { PIP_CLIENT_CERT: settings.clientCertificate } : {}),
    ...(settings.proxy ? { PIP_PROXY: settings.proxy } : {}),
    ...(settings.timeoutSeconds ? { PIP_TIMEOUT: String(settings.timeoutSeconds) } : {}),
  };
}

/** The variables of uv that say where packages come from; stronger than pip's settings, weaker than a caller's. */
const UV_INDEX_VARIABLES: readonly string[] = [
  "UV_DEFAULT_INDEX",
  "UV_INDEX",
  "UV_INDEX_URL",
  "UV_EXTRA_INDEX_URL",
  "UV_FIND_LINKS",
  "UV_INSECURE_HOST",
];

/** The other variables of uv that a user may set and that are passed on; they are stronger than pip's settings. */
const UV_VARIABLES: readonly string[] = [
  "UV_NATIVE_TLS",
  "UV_SYSTEM_CERTS",
  "UV_HTTP_TIMEOUT",
  "UV_HTTP_CONNECT_TIMEOUT",
  "UV_HTTP_RETRIES",
  "UV_CONSTRAINT",
  "UV_EXCLUDE_NEWER",
  "UV_LINK_MODE",
  "UV_CACHE_DIR",
];

/** Those of uv's variables that change which packages are taken, and not only how they are reached. */
const UV_SELECTING_VARIABLES: readonly string[] = ["UV_CONSTRAINT", "UV_EXCLUDE_NEWER"];

/**
 * The variables of uv by which it would take other packages. They are part of what an environment is, whoever installs:
 * which installer it will be is not known then.
 */
export function uvSelection(settings: IndexSettings, context: Context): Record<string, string> {
  const names = found.has(settings)
    ? [...UV_INDEX_VARIABLES, ...UV_SELECTING_VARIABLES]
    : UV_SELECTING_VARIABLES;
  const result: Record<string, string> = {};
  for (const name of names) {
    const value = context.environment(name);
    if (value && name !== "UV_INSECURE_HOST") result[name] = value;
  }
  return result;
}

/** The settings as variables for uv. */
export function uvVariables(settings: IndexSettings, context: Context): Record<string, string> {
  // pip takes a proxy without its scheme, too.
  const url = /^\w+:\/\//.test(settings.proxy ?? "") ? settings.proxy! : `http://${settings.proxy}`;
  const result: Record<string, string> = {
    UV_NO_CONFIG: "1",
    UV_PYTHON_DOWNLOADS: "never",
    ...(settings.indexUrl ? { UV_DEFAULT_INDEX: settings.indexUrl } : {}),
    ...(settings.extraIndexUrls ? { UV_INDEX: settings.extraIndexUrls.join(" ") } : {}),
    ...(settings.findLinks ? { UV_FIND_LINKS: settings.findLinks.map(oneWord).join(",") } : {}),
    ...(settings.trustedHosts ? { UV_INSECURE_HOST: settings.trustedHosts.join(" ") } : {}),
    ...(settings.certificates ? { SSL_CERT_FILE: settings.certificates } : {}),
    ...(settings.clientCertificate ? { SSL_CLIENT_CERT: settings.clientCertificate } : {}),
    ...(settings.proxy ? { ALL_PROXY: url, HTTP_PROXY: url, HTTPS_PROXY: url } : {}),
    ...(settings.timeoutSeconds ? { UV_HTTP_TIMEOUT: String(settings.timeoutSeconds) } : {}),
  };
  for (const name of found.has(settings) ? [...UV_INDEX_VARIABLES, ...UV_VARIABLES] : UV_VARIABLES) {
    const value = context.environment(name);
    if (value) result[name] = value;
  }
  return result;
}
