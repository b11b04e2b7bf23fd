// kafkajs as a program that answers calls until its input ends: a JSON object a line in, one a line out.
//
//     {"client": "kafkajs", "call": "produce", "bootstrap": "127.0.0.1:9092", "topic": …}
//     {"result": …}  or  {"error": {"code": 10, "detail": "…"}}
//
// Bytes are base64, null is null. `code` is Kafka's error code, or null where the client failed by itself.
// tests/support/clients/probe.py is the other side. A call opens a client of its own and closes it.

'use strict'

process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'

const readline = require('readline')
const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = require('kafkajs')
const admin = require('./admin')
const { consume } = require('./fetch')
const transactions = require('./transactions')

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')

const ACKS = { 0: 0, 1: 1, all: -1 }
const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
}

// kafkajs makes one batch of all that a send has for a partition, whatever its size.
const MESSAGES_PER_SEND = 100

async function produce(kafka, asked) {
  const producer = kafka.producer({
    idempotent: asked.idempotent,
    allowAutoTopicCreation: true,
    ...(asked.idempotent ? { maxInFlightRequests: 1 } : {}),
  })
  await producer.connect()
  try {
    const offsets = []
    for (let first = 0; first < asked.messages.length; first += MESSAGES_PER_SEND) {
      offsets.push(...(await send(producer, asked, asked.messages.slice(first, first + MESSAGES_PER_SEND))))
    }
    return offsets
  } finally {
    await producer.disconnect()
  }
}

async function send(producer, asked, messages) {
  const answers = await producer.send({
    topic: asked.topic,
    acks: ACKS[asked.acks],
    compression: CODECS[asked.codec],
    messages: messages.map(each => message(each, asked.partition)),
  })
  // The base offset of the batch tells all offsets; acks=0 has no answer.
  const base = answers && answers.length ? Number(answers[0].baseOffset) : null
  return messages.map((_, index) => (base === null ? -1 : base + index))
}

function message(from, partition) {
  const headers = {}
  for (const { name, value } of from.headers) {
    headers[name] = [...(headers[name] || []), bytes(value)]
  }
  return {
    partition,
    key: bytes(from.key),
    value: bytes(from.value),
    timestamp: String(from.timestamp_ms),
    headers,
  }
}

function bytes(text) {
  return text === null ? null : Buffer.from(text, 'base64')
}

const CALLS = { produce, consume, ...admin.CALLS, ...transactions.CALLS }

// A refusal may lie within the error that the client throws: as its cause, or as one of several.
function refusal(error) {
  for (let at = error; at; at = at.cause || at.originalError || (at.errors && at.errors[0])) {
    if (typeof at.code === 'number') {
      return at
    }
    if (at.partitions && at.partitions.length && at.partitions[0].error) {
      return refusal(at.partitions[0].error)
    }
  }
  return null
}

async function answer(asked) {
  const kafka = new Kafka({
    brokers: [asked.bootstrap],
    logLevel: logLevel.NOTHING,
    retry: { retries: 3, initialRetryTime: 100 },
  })
  try {
    const result = await CALLS[asked.call](kafka, asked)
    return { result: result === undefined ? null : result }
  } catch (error) {
    const refused = refusal(error)
    return { error: { code: refused ? refused.code : null, detail: String(error.stack || error) } }
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`)
  }
  process.exit(0) // whatever timer the client may have left
}

main()
