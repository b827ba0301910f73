// As program.sh.
"use strict";
let last = 0;
function look() {
  const now = Number(process.env.TOKEN.slice(2));
  if (now < last) console.log(`went back from ${last} to ${now}`);
  last = now;
}
function say() {
  look();
  console.log(`says ${last} ${process.env.MURMUR_GENERATION}`);
}
say();
const timer = process.argv[2] === "busy" ? setInterval(look, 10) : undefined;
process.stdin.on("data", say).on("end", () => clearInterval(timer));
