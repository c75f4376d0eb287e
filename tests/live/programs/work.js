// SPDX-License-Identifier: Apache-2.0
// What node programs do all day: closures, classes, JSON, regular expressions, sorting, promises, buffers, garbage.
'use strict';
const crypto = require('crypto');
const zlib = require('zlib');

class Shape { area(depth) { return depth; } }
class Square extends Shape {
	constructor(side) { super(); this.side = side; }
	area(depth) { return this.side * this.side + super.area(depth); }
}
class Group extends Shape {
	constructor(parts) { super(); this.parts = parts; }
	area(depth) { return this.parts.reduce((sum, part) => sum + part.area(depth - 1), 0); }
}

function nested(levels) {
	const parts = [new Square(1), new Square(2)];
	return new Group(levels ? parts.concat(nested(levels - 1)) : parts);
}

function fibonacci(n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

function json(n) {
	const made = { n, list: Array.from({ length: 50 }, (_, i) => ({ id: i * n, name: `item ${i}` })) };
	return JSON.parse(JSON.stringify(made)).list.filter((x) => x.id % 3 === 0).length;
}

function text(n) {
	let s = '';
	for (let i = 0; i < 200; i++)
		s += `key${i}=${i * n};`;
	return s.replace(/key(\d+)=(\d*)7;/g, (_, a, b) => `${b}:${a} `).split(' ').sort().length;
}

function thrower(n) {
	try {
		if (n % 2)
			throw new Error(`odd: ${n}`);
		return 0;
	} catch (error) {
		return error.message.length;
	}
}

async function later(n) {
	const value = await new Promise((resolve) => { setImmediate(() => resolve(n)); });
	return [...new Map([[value, n], [n, value]]).keys()].length;
}

async function main() {
	const shapes = nested(20);
	let sum = 0;
	console.log('busy');
	for (let n = 1; ; n++) {
		sum += fibonacci(15) + json(n) + text(n) + thrower(n) + shapes.area(50);
		sum += zlib.deflateSync(Buffer.from(`${sum}`.repeat(200))).length;
		sum += crypto.createHash('sha256').update(`${n}`).digest()[0];
		sum += (await Promise.all([later(n), later(n + 1)])).length;
	}
}

main();
