// SPDX-License-Identifier: Apache-2.0
// hot.js SECONDS: uses that much time in a function that V8 optimizes.
function hotLeaf(n) {
  let sum = 0;
  for (let i = 0; i < n; i++) sum = (sum * 31 + i) % 1000003;
  return sum;
}

function hotCaller() {
  let total = 0;
  for (let i = 0; i < 100; i++) total += hotLeaf(100000);
  return total;
}

console.log("busy");
const until = Date.now() + Number(process.argv[2]) * 1000;
let result = 0;
while (Date.now() < until) result += hotCaller();
process.exitCode = result < 0 ? 1 : 0;
