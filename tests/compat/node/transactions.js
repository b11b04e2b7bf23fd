// A producer of kafkajs that stays from one call to the next; a process has one at a time.
//
// `txn_open` makes it and takes the transactional id `name` over; `txn_begin`, `txn_send`, `txn_offset`, `txn_commit`,
// `txn_abort` and `txn_close` are what they say. tests/support/clients/probe.py is the other side.

'use strict'

let producer = null
let transaction = null
let first = null // kafkajs takes an id over with its first transaction

const CALLS = {
  async txn_open(kafka, asked) {
    producer = kafka.producer({
      transactionalId: asked.name,
      idempotent: true,
      maxInFlightRequests: 1,
      ...(asked.timeout_ms ? { transactionTimeout: asked.timeout_ms } : {}),
    })
    await producer.connect()
    first = await producer.transaction()
  },
  async txn_begin() {
    transaction = first || (await producer.transaction())
    first = null
  },
  async txn_send(_kafka, asked) {
    const messages = asked.messages.map(each => ({
      partition: asked.partition,
      key: null,
      value: Buffer.from(each.value, 'base64'),
    }))
    await transaction.send({ topic: asked.topic, messages })
  },
  async txn_offset(_kafka, asked) {
    const partitions = [{ partition: asked.partition, offset: String(asked.argument) }]
    await transaction.sendOffsets({ consumerGroupId: asked.name, topics: [{ topic: asked.topic, partitions }] })
  },
  async txn_commit() {
    await transaction.commit()
  },
  async txn_abort() {
    await transaction.abort()
  },
  async txn_close() {
    await producer.disconnect()
  },
}

module.exports = { CALLS }
