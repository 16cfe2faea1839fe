/** Numbers as text and text as numbers, over plain bytes: nothing here allocates except the formatting functions. */

/** A whole number with a comma between thousands: "12,345". */
export function grouped(value: u64): string {
  let rest = value.toString();
  let text = "";
  while (rest.length > 3) {
    text = "," + rest.substring(rest.length - 3) + text;
    rest = rest.substring(0, rest.length - 3);
  }
  return rest + text;
}

/** A count with its noun: "1 row", "12,345 rows". */
export function counted(count: u64, noun: string): string {
  return grouped(count) + " " + noun + (count == 1 ? "" : "s");
}

/** A number rounded to 6 decimals, without the noise of binary fractions and without an exponent where there is none. */
export function decimal(value: f64): string {
  const rounded = Math.abs(value) < 1e9 ? Math.round(value * 1e6) / 1e6 : value;
  const text = rounded.toString();
  return text.endsWith(".0") ? text.substring(0, text.length - 2) : text;
}

/** The number that the bytes spell (sign, digits, fraction, exponent), or NaN if they spell none. */
export function parseNumber(pointer: usize, length: u32): f64 {
  const end = pointer + length;
  let at = pointer;
  let negative = false;
  if (at < end && (load<u8>(at) == 0x2d || load<u8>(at) == 0x2b)) negative = load<u8>(at++) == 0x2d;
  let mantissa: u64 = 0;
  let exponent = 0;
  let digits = 0;
  let point = false;
  for (; at < end; at++) {
    const c = load<u8>(at);
    if (c == 0x2e && !point) {
      point = true;
      continue;
    }
    const digit = <u32>c - 0x30;
    if (digit > 9) break;
    digits++;
    if (mantissa < 100_000_000_000_000_000) {
      mantissa = mantissa * 10 + digit;
      if (point) exponent--;
    } else if (!point) exponent++;
  }
  if (digits == 0) return NaN;
  if (at < end) {
    const written = parseExponent(at, end);
    if (written == i32.MIN_VALUE) return NaN;
    exponent += written;
  }
  const value = scaled(<f64>mantissa, exponent);
  return negative ? -value : value;
}

function parseExponent(start: usize, end: usize): i32 {
  let at = start;
  if ((load<u8>(at++) | 0x20) != 0x65) return i32.MIN_VALUE;
  let negative = false;
  if (at < end && (load<u8>(at) == 0x2d || load<u8>(at) == 0x2b)) negative = load<u8>(at++) == 0x2d;
  if (at == end) return i32.MIN_VALUE;
  let value = 0;
  for (; at < end; at++) {
    const digit = <u32>load<u8>(at) - 0x30;
    if (digit > 9) return i32.MIN_VALUE;
    value = min(value * 10 + <i32>digit, 9_999);
  }
  return negative ? -value : value;
}

function scaled(mantissa: f64, exponent: i32): f64 {
  if (mantissa == 0) return 0;
  let value = mantissa;
  let left = exponent;
  while (left > 0 && value != Infinity) {
    const step = min(left, 22);
    value *= powerOfTen(step);
    left -= step;
  }
  while (left < 0 && value != 0) {
    const step = min(-left, 22);
    value /= powerOfTen(step);
    left += step;
  }
  return value;
}

/** 10 to the power of 0 to 22, each of which a double holds exactly. */
function powerOfTen(exponent: i32): f64 {
  let power: f64 = 1;
  for (let i = 0; i < exponent; i++) power *= 10;
  return power;
}
