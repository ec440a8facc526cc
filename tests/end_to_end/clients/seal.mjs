// Seals a photo and prints it: node seal.mjs A.jpg. Needs Node and nothing else.
import { createCipheriv } from "node:crypto";
import { readFileSync } from "node:fs";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";

const KEY = "dcbbad6765e14139a07d34b92292a672";
const IV = "df25d188a061";

export function seal(photo) {
  const cipher = createCipheriv("aes-256-gcm", KEY, IV);
  const sealed = [cipher.update(readFileSync(photo)), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat(sealed).toString("base64");
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  console.log(seal(argv[2]));
}
