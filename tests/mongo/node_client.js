// SPDX-License-Identifier: Apache-2.0
'use strict';
// Sessions of the driver for node (see sessions.py): node_client.js PORT SESSION [COMPRESSOR]. Prints a line of JSON for
// each command that the driver says it sends, and for each cursor that a reply opened.
const { MongoClient, ObjectId, Binary } = require('mongodb');
const [, , port, session, compressor] = process.argv;
const S = 'SECRET';
const NUMBER = 719719719719;

function orders(n) {
  return Array.from({ length: n }, (_, i) => ({
    _id: `${S}-${i}`, status: S + ['paid', 'open', 'late'][i % 3], total: i * 37 % 1000, item: i % 50,
    customer: { name: `${S} name ${i}` }, tags: [S + 'a', S + 'b'], photo: new Binary(Buffer.from(S)) }));
}

const sessions = {
  async find(db) {
    await db.collection('orders').insertMany(orders(60));
    await db.collection('orders').find({}).batchSize(25).toArray();
    await db.collection('orders').find({ status: S + 'paid', total: { $gt: 5 } }).sort({ date: -1 }).toArray();
    await db.collection('orders').findOne({ _id: new ObjectId(Buffer.from('SECRETSECRET')) });
    await db.collection('orders').find({ 'customer.name': /^SECRET.*1/i }, { projection: { _id: 0 } }).limit(3).toArray();
    await db.collection('orders').find({ $or: [{ item: { $in: [1, 2, NUMBER] } }, { tags: S }] }).toArray();
    for await (const document of db.collection('orders').find({}, { batchSize: 10 })) {
      if (document.item === 12) break; // killCursors
    }
  },
  async writes(db) {
    const items = db.collection('orders');
    await items.insertOne({ _id: S, status: S });
    await items.insertMany(orders(80));
    await items.updateOne({ _id: S }, { $set: { status: S }, $inc: { total: NUMBER } });
    await items.updateMany({ total: { $gt: 100 } }, { $push: { tags: S } });
    await items.replaceOne({ _id: S + '-2' }, { status: S });
    await items.updateOne({ _id: S + 'new' }, { $set: { status: S } }, { upsert: true });
    await items.findOneAndUpdate({ _id: S + '-4' }, { $set: { status: S } });
    await items.bulkWrite([{ insertOne: { document: { _id: S + 'x' } } }, { updateOne: { filter: { _id: S + 'x' },
      update: { $set: { v: S } } } }, { deleteOne: { filter: { _id: S + 'x' } } }]);
    await items.deleteMany({ status: { $in: [S, S + 'paid'] } });
    await items.createIndex({ status: 1, date: -1 });
    await items.estimatedDocumentCount();
    await items.distinct('status', { total: { $gt: 3 } });
    await db.listCollections().toArray();
  },
  async aggregate(db) {
    const items = db.collection('orders');
    await items.insertMany(orders(60));
    await items.aggregate([{ $match: { status: S + 'paid' } }, { $group: { _id: '$item', n: { $sum: '$total' } } }]).toArray();
    await items.aggregate([{ $sort: { _id: 1 } }], { batchSize: 25 }).toArray();
    await items.countDocuments({ status: S });
    await items.aggregate([{ $match: { status: S } }, { $lookup: { from: 'products', localField: 'item', foreignField: '_id',
      as: 'product' } }, { $group: { _id: '$product.category' } }]).toArray().catch(() => {});
  },
  async quiet(db) {
    const items = db.collection('orders', { writeConcern: { w: 0 } });
    await items.insertOne({ _id: S });
    await items.updateOne({ _id: S }, { $set: { status: S } });
    await db.collection('orders').findOne({ status: S });
    await items.deleteOne({ _id: S });
    await db.command({ ping: 1 });
  },
};

async function main() {
  const client = new MongoClient(`mongodb://127.0.0.1:${port}/`, { directConnection: true, maxPoolSize: 1, appName: S + 'app',
    monitorCommands: true, serverMonitoringMode: 'poll', ...(compressor ? { compressors: [compressor] } : {}) });
  const asked = new Map();
  client.on('commandStarted', (event) => {
    const { commandName: name, command, databaseName: database } = event;
    const kept = { [name]: command[name], collection: command.collection, pipeline: command.pipeline };
    if (typeof kept[name] === 'object') kept[name] = 1;
    asked.set(event.requestId, asked.size);
    console.log(JSON.stringify({ name, command: kept, database, getMore: String(command.getMore) }));
  });
  client.on('commandSucceeded', (event) => {
    const cursor = event.reply && event.reply.cursor;
    if (cursor && cursor.id && event.commandName !== 'getMore') {
      console.log(JSON.stringify({ cursor: String(cursor.id), opened: asked.get(event.requestId) }));
    }
  });
  await sessions[session](client.db('shop'));
  await client.close();
}

main();
