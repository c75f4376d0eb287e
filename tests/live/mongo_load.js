// SPDX-License-Identifier: Apache-2.0
'use strict';
// The load of mongo_load.py by the driver for node: mongo_load.js PORT SECONDS CLASS[=WEIGHT] ...
const { MongoClient } = require('mongodb');
const [, , port, seconds, ...names] = process.argv;
const PRODUCTS = 15;
const below = (n) => Math.floor(Math.random() * n);
const listed = Array.from({ length: 20000 }, (_, i) => i);

const classes = {
  async find(db) {
    await db.collection('orders').find({ status: 'paid', total: { $gt: below(200) } }).batchSize(10).sort({ date: -1 }).toArray();
  },
  async aggregate(db) {
    await db.collection('orders').aggregate([{ $match: { total: { $gt: below(500) } } },
      { $group: { _id: '$item', n: { $sum: '$total' } } }, { $sort: { n: -1 } }]).toArray();
  },
  async lookup(db) {
    listed[0] = below(1000);
    await db.collection('orders').aggregate([
      { $lookup: { from: 'products', localField: 'item', foreignField: '_id', as: 'product' } },
      { $group: { _id: '$product.category', n: { $sum: '$total' } } },
      { $match: { _id: { $in: listed } } }]).toArray().catch(() => {}); // FerretDB refuses it
  },
  async insert(db) {
    await db.collection('log').insertMany(Array.from({ length: 10000 }, (_, i) => ({ _id: i, at: i, text: `line ${i}` })));
  },
  async drop(db) {
    await db.collection('log').drop();
  },
  async update(db) {
    await db.collection('orders').updateMany({ item: below(PRODUCTS) }, { $inc: { changes: 1 }, $set: { seen: true } });
  },
  async count(db) {
    await db.command({ count: 'orders', query: { 'customer.city': `city ${below(40)}` } });
  },
  async delete(db) {
    await db.collection('orders').deleteMany({ total: { $gt: 1000 }, 'customer.name': `name ${below(300)}` });
  },
};

async function main() {
  const client = new MongoClient(`mongodb://127.0.0.1:${port}/`, { directConnection: true });
  const db = client.db('shop');
  await db.command({ ping: 1 });
  console.log('ready');
  const weights = names.map((n) => n.split('=')).map(([name, weight]) => [name, Number(weight || 1)]);
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
  const counts = {};
  const deadline = Date.now() + seconds * 1000;
  const run = async (name) => {
    await classes[name](db);
    counts[name] = (counts[name] || 0) + 1;
  };
  while (weights.length && Date.now() < deadline) {
    let at = Math.random() * total;
    const [name] = weights.find(([, weight]) => (at -= weight) < 0) || weights[0];
    await run(name);
    if (name === 'insert') await run('drop');
  }
  for (const [name, n] of Object.entries(counts)) console.log(name, n);
  await client.close();
}

main();
