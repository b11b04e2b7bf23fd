// Reading by assignment with kafkajs. Its consumer works in a group only, so this uses what lies below it: the
// cluster finds leaders and offsets, a broker connection fetches, and Batch decodes and drops what a reader must
// not see. The positions, which the consumer would keep, are kept here.

'use strict'

const Batch = require('kafkajs/src/consumer/batch')

const ISOLATION = { read_uncommitted: 0, read_committed: 1 }
const MAX_WAIT_MS = 500
const MAX_BYTES = 1024 * 1024

async function consume(kafka, asked) {
  return withCluster(kafka, async cluster => {
    await cluster.addTargetTopic(asked.topic)
    const positions = await startingPositions(cluster, asked)
    const deadline = Date.now() + asked.timeout_ms
    const records = []
    while (records.length < asked.count && Date.now() < deadline) {
      records.push(...(await fetchOnce(cluster, asked, positions)))
    }
    return records
  })
}

async function startingPositions(cluster, asked) {
  if (asked.at === 'offset') {
    return new Map(asked.partitions.map(partition => [partition, String(asked.argument)]))
  }
  const lookUp = { topic: asked.topic, partitions: asked.partitions.map(partition => ({ partition })) }
  const found = await offsets(cluster, lookUp, asked)
  const missing = found.filter(({ offset }) => offset === '-1') // nothing that late: the end
  const ends = missing.length ? await offsets(cluster, lookUp, { at: 'latest' }) : []
  return new Map([...found, ...ends].map(({ partition, offset }) => [partition, offset]))
}

async function offsets(cluster, lookUp, { at, argument }) {
  const from = at === 'timestamp' ? { fromTimestamp: argument } : { fromBeginning: at === 'earliest' }
  const [{ partitions }] = await cluster.fetchTopicsOffset([{ ...lookUp, ...from }])
  return partitions
}

async function fetchOnce(cluster, asked, positions) {
  const leaders = cluster.findLeaderForPartitions(asked.topic, asked.partitions)
  const records = []
  for (const [nodeId, partitions] of Object.entries(leaders)) {
    const broker = await cluster.findBroker({ nodeId })
    const { responses } = await broker.fetch({
      maxWaitTime: MAX_WAIT_MS,
      minBytes: 1,
      maxBytes: 16 * MAX_BYTES,
      isolationLevel: ISOLATION[asked.isolation],
      topics: [
        {
          topic: asked.topic,
          partitions: partitions.map(partition => ({
            partition,
            fetchOffset: positions.get(partition),
            maxBytes: MAX_BYTES,
          })),
        },
      ],
    })
    for (const data of responses.flatMap(each => each.partitions)) {
      records.push(...read(asked.topic, data, positions))
    }
  }
  return records
}

function read(topic, data, positions) {
  const batch = new Batch(topic, positions.get(data.partition), data)
  if (!batch.isEmptyIncludingFiltered()) {
    positions.set(data.partition, String(BigInt(batch.lastOffset()) + 1n))
  }
  return batch.messages.map(each => ({
    partition: data.partition,
    offset: Number(each.offset),
    message: {
      key: base64(each.key),
      value: base64(each.value),
      timestamp_ms: Number(each.timestamp),
      headers: headers(each.headers),
    },
  }))
}

// An object by name, with an array where a name occurs more than once.
function headers(from) {
  return Object.entries(from || {}).flatMap(([name, values]) =>
    [].concat(values).map(value => ({ name, value: base64(value) }))
  )
}

function base64(value) {
  return value === null || value === undefined ? null : Buffer.from(value).toString('base64')
}

// kafkajs keeps its cluster object behind a symbol.
async function withCluster(kafka, run) {
  const symbol = Object.getOwnPropertySymbols(kafka).find(each => String(each).includes('createCluster'))
  const cluster = kafka[symbol]({ metadataMaxAge: 300000, allowAutoTopicCreation: false })
  await cluster.connect()
  try {
    return await run(cluster)
  } finally {
    await cluster.disconnect()
  }
}

module.exports = { consume }
