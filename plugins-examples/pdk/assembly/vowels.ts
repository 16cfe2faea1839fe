/** See README.md. The PDK has functions for all but errors and http, whose imports it declares. */

import { Config, Host, LogLevel, Memory, Var } from "@extism/as-pdk";
import { error_set, http_request, length } from "@extism/as-pdk/lib/env";

export function pdkAbort(message: string | null, file: string | null, line: u32, column: u32): void {
  unreachable();
}

export function echo(): i32 {
  Host.output(Host.input());
  return 0;
}

export function count_vowels(): i32 {
  const configured = Config.get("vowels");
  const vowels = configured === null ? "aeiouAEIOU" : configured;
  const text = Host.inputString();
  let count = 0;
  for (let i = 0; i < text.length; i++) if (vowels.includes(text.charAt(i))) count++;
  const before = Var.getString("total");
  const total = (before === null ? 0 : I32.parseInt(before)) + count;
  Var.set("total", Uint8Array.wrap(String.UTF8.encode(total.toString())));
  Host.outputString('{"count":' + count.toString() + ',"total":' + total.toString() + ',"vowels":"' + vowels + '"}');
  return 0;
}

export function many(): i32 {
  for (let i = 0; i < 1000; i++) {
    const name = "name" + (i % 10).toString();
    Var.set(name, Uint8Array.wrap(String.UTF8.encode("value " + i.toString())));
    const value = Var.getString(name);
    if (value === null || value != "value " + i.toString()) return 1;
    if (Config.get("absent") !== null) return 2;
    const language = Config.get("language");
    if (language === null || language != "de") return 3;
    Host.log(LogLevel.Debug, value);
    Var.remove(name);
    if (Var.get(name) !== null) return 4;
  }
  Host.outputString("done");
  return 0;
}

export function talk(): i32 {
  const text = Host.inputString();
  Host.log(LogLevel.Debug, text);
  Host.log(LogLevel.Info, text);
  Host.log(LogLevel.Warn, text);
  Host.log(LogLevel.Error, text);
  return 0;
}

export function fail(): i32 {
  error_set(Memory.allocateString(Host.inputString()).offset);
  return 1;
}

export function fetch(): i32 {
  const request = '{"url":"' + Host.inputString() + '","method":"POST","headers":{"x-test":"yes"}}';
  const body = http_request(Memory.allocateString(request).offset, Memory.allocateString("hello").offset);
  if (body == 0) return 1;
  Host.outputMemory(new Memory(body, length(body)));
  return 0;
}
