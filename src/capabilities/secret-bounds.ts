/** Bounds of secrets, for both halves of the capability. */

/** Of a name. */
export const secretNameBytesMax = 128;
/** Of a value. */
export const secretValueBytesMax = 65_536;
