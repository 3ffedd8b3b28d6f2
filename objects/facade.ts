/**
 * A backend that makes its calls through another one: what scopes and sessions are made of.
 *
 * @module
 */

import type {
  CallOptions,
  CloseOptions,
  InitializeOptions,
  KeywordArguments,
  PositionalArguments,
  PythonHostBackend,
  ServerInfo,
} from "../core/backend.ts";
import type { PythonModuleHandle, PythonObjectHandle } from "../core/handles.ts";

/** Hands every operation on. A subclass changes the options on their way in, and results on their way out. */
export abstract class BackendFacade implements PythonHostBackend {
  /** The backend that makes the calls. */
  protected readonly inner: PythonHostBackend;

  /** Makes a facade before a backend. */
  constructor(inner: PythonHostBackend) {
    this.inner = inner;
  }

  /** Changes the options of a call. */
  protected options(options: CallOptions | undefined): CallOptions | undefined {
    return options;
  }

  /** Sees the result of a call. */
  protected result<T>(result: T): T {
    return result;
  }

  /** The kind of wire. */
  get transport(): PythonHostBackend["transport"] {
    return this.inner.transport;
  }

  /** Whether calls can be made. */
  get isInitialized(): boolean {
    return this.inner.isInitialized;
  }

  /** Connects the backend behind this one. */
  initialize(options?: InitializeOptions): Promise<ServerInfo> {
    return this.inner.initialize(options);
  }

  /** See {@linkcode PythonHostBackend.importModule}. */
  async importModule(name: string, options?: CallOptions): Promise<PythonModuleHandle> {
    return this.result(await this.inner.importModule(name, this.options(options)));
  }

  /** See {@linkcode PythonHostBackend.createObject}. */
  async createObject(
    module: PythonModuleHandle | string,
    className: string,
    args?: PositionalArguments,
    kwargs?: KeywordArguments,
    options?: CallOptions,
  ): Promise<PythonObjectHandle> {
    return this.result(await this.inner.createObject(module, className, args, kwargs, this.options(options)));
  }

  /** See {@linkcode PythonHostBackend.callMethod}. */
  async callMethod<T = unknown>(
    handle: PythonObjectHandle,
    name: string,
    args?: PositionalArguments,
    kwargs?: KeywordArguments,
    options?: CallOptions,
  ): Promise<T> {
    return this.result(await this.inner.callMethod<T>(handle, name, args, kwargs, this.options(options)));
  }

  /** See {@linkcode PythonHostBackend.getAttribute}. */
  async getAttribute<T = unknown>(
    handle: PythonObjectHandle,
    name: string,
    options?: CallOptions,
  ): Promise<T> {
    return this.result(await this.inner.getAttribute<T>(handle, name, this.options(options)));
  }

  /** See {@linkcode PythonHostBackend.setAttribute}. */
  async setAttribute(
    handle: PythonObjectHandle,
    name: string,
    value: unknown,
    options?: CallOptions,
  ): Promise<void> {
    await this.inner.setAttribute(handle, name, value, this.options(options));
  }

  /** See {@linkcode PythonHostBackend.disposeHandle}. */
  async disposeHandle(handle: PythonObjectHandle, options?: CallOptions): Promise<void> {
    await this.inner.disposeHandle(handle, this.options(options));
  }

  /** See {@linkcode PythonHostBackend.evaluate}. */
  async evaluate<T = unknown>(code: string, locals?: KeywordArguments, options?: CallOptions): Promise<T> {
    return this.result(await this.inner.evaluate<T>(code, locals, this.options(options)));
  }

  /** See {@linkcode PythonHostBackend.toFloatArray}. */
  async toFloatArray(handle: PythonObjectHandle, options?: CallOptions): Promise<Float32Array> {
    return await this.inner.toFloatArray(handle, this.options(options));
  }

  /** See {@linkcode PythonHostBackend.toFloatArray2D}. */
  async toFloatArray2D(handle: PythonObjectHandle, options?: CallOptions): Promise<Float32Array[]> {
    return await this.inner.toFloatArray2D(handle, this.options(options));
  }

  /** See {@linkcode PythonHostBackend.isModuleAvailable}. */
  async isModuleAvailable(name: string, options?: CallOptions): Promise<boolean> {
    return await this.inner.isModuleAvailable(name, this.options(options));
  }

  /** See {@linkcode PythonHostBackend.createObjectHandleFromResult}. */
  async createObjectHandleFromResult(value: unknown, options?: CallOptions): Promise<PythonObjectHandle> {
    return this.result(await this.inner.createObjectHandleFromResult(value, this.options(options)));
  }

  /** Ends what this facade stands for; the backend behind it stays open. */
  abstract close(options?: CloseOptions): Promise<void>;

  /** Closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
