// A kafkajs consumer in a group as a process of its own: `member.js kafkajs BOOTSTRAP GROUP TOPIC [name=value …]`.
//
// What it takes and what it tells is the same for every client: see tests/support/group_member.py. kafkajs has one
// assignor, round robin under a name of its own, and neither static members nor the protocol of KIP-848.

'use strict'

const { Kafka, logLevel } = require('kafkajs')

const [, , , bootstrap, groupId, topic, ...settings] = process.argv
const options = Object.fromEntries(settings.map(each => each.split('=', 2)))
const HEARTBEAT_MS = 300
const FETCH_MS = 200 // it sends no heartbeat while it waits for records

function tell(...words) {
  process.stdout.write(`${words.join(' ')}\n`)
}

const kafka = new Kafka({
  brokers: [bootstrap],
  logLevel: logLevel.ERROR,
  retry: { initialRetryTime: 100, maxRetryTime: 200, retries: 1000 },
})
const consumer = kafka.consumer({
  groupId,
  sessionTimeout: Number(options.session || 10000),
  heartbeatInterval: HEARTBEAT_MS,
  maxWaitTimeInMs: FETCH_MS,
})

consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
  const share = payload.memberAssignment[topic] || []
  tell('assigned', [...share].sort((left, right) => left - right).join(','))
})
consumer.on(consumer.events.CRASH, ({ payload }) => {
  if (!payload.restart) {
    tell('failed', payload.error)
    process.exit(1)
  }
})

// kafkajs commits after each batch, and then sends the heartbeat that is due.
async function eachBatch({ batch }) {
  for (const message of batch.messages) {
    tell('got', batch.partition, message.offset)
  }
}

async function main() {
  process.once('SIGTERM', async () => {
    await consumer.disconnect() // which leaves
    tell('left')
    process.exit(0)
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({ eachBatch })
}

main().catch(error => {
  tell('failed', error)
  process.exit(1)
})
