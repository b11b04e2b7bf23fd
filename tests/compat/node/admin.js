// The admin side of kafkajs: each call of the port that it offers.

'use strict'

const {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  ConfigResourceTypes,
  ResourcePatternTypes,
} = require('kafkajs')

const TOPIC_ALREADY_EXISTS = 36
const KINDS = { topic: ConfigResourceTypes.TOPIC, broker: ConfigResourceTypes.BROKER }

function withAdmin(run) {
  return async (kafka, asked) => {
    const admin = kafka.admin()
    await admin.connect()
    try {
      return await run(admin, asked)
    } finally {
      await admin.disconnect()
    }
  }
}

async function createTopic(admin, asked) {
  const configEntries = Object.entries(asked.configs).map(([name, value]) => ({ name, value }))
  const topic = { topic: asked.topic, numPartitions: asked.count, replicationFactor: 1, configEntries }
  // false is how kafkajs says that the topic is there already.
  if (!(await admin.createTopics({ topics: [topic] }))) {
    throw Object.assign(new Error('createTopics returned false'), { code: TOPIC_ALREADY_EXISTS })
  }
}

async function describeTopic(admin, asked) {
  const { topics } = await admin.fetchTopicMetadata({ topics: [asked.topic] })
  return topics[0].partitions
    .map(each => ({ partition: each.partitionId, leader: each.leader }))
    .sort((left, right) => left.partition - right.partition)
}

async function describeCluster(admin) {
  const found = await admin.describeCluster()
  const nodes = found.brokers.map(({ nodeId, host, port }) => ({ id: nodeId, host, port }))
  return { cluster_id: found.clusterId, nodes }
}

async function offsetRange(admin, asked) {
  const found = (await admin.fetchTopicOffsets(asked.topic)).find(each => each.partition === asked.partition)
  return [Number(found.low), Number(found.high)]
}

async function offsetForTime(admin, asked) {
  const offsets = await admin.fetchTopicOffsetsByTimestamp(asked.topic, asked.argument)
  const found = Number(offsets.find(each => each.partition === asked.partition).offset)
  // Where nothing is that late kafkajs answers with the end offset.
  const [, high] = await offsetRange(admin, asked)
  return found < 0 || found >= high ? null : found
}

async function listOffsets(admin, asked) {
  const [low, high] = await offsetRange(admin, asked)
  const ends = { earliest: low, latest: high }
  return asked.at in ends ? ends[asked.at] : offsetForTime(admin, asked)
}

async function describeConfigs(admin, asked) {
  const found = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: KINDS[asked.kind], name: asked.name }],
  })
  return Object.fromEntries(
    found.resources[0].configEntries.map(each => [
      each.configName,
      {
        value: each.configValue,
        source: each.configSource,
        read_only: each.readOnly,
        sensitive: each.isSensitive,
      },
    ])
  )
}

async function alterConfigs(admin, asked) {
  const configEntries = Object.entries(asked.configs).map(([name, value]) => ({ name, value }))
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{ type: KINDS[asked.kind], name: asked.name, configEntries }],
  })
}

async function createPartitions(admin, asked) {
  await admin.createPartitions({ topicPartitions: [{ topic: asked.topic, count: asked.count }] })
}

// kafkajs looks for leaders before it has asked for any, so something must make it ask first. It does not tell the
// low watermark that it gets.
async function deleteRecords(admin, asked) {
  await admin.fetchTopicOffsets(asked.topic)
  const partitions = [{ partition: asked.partition, offset: String(asked.before) }]
  await admin.deleteTopicRecords({ topic: asked.topic, partitions })
}

async function listReassignments(admin) {
  const { topics } = await admin.listPartitionReassignments({ topics: null })
  return topics.length
}

async function describeAcls(admin) {
  const { resources } = await admin.describeAcls({
    resourceType: AclResourceTypes.ANY,
    resourcePatternType: ResourcePatternTypes.ANY,
    operation: AclOperationTypes.ANY,
    permissionType: AclPermissionTypes.ANY,
  })
  return resources.length
}

const CALLS = {
  create_topic: createTopic,
  delete_topic: (admin, asked) => admin.deleteTopics({ topics: [asked.topic] }),
  list_topics: admin => admin.listTopics(),
  describe_topic: describeTopic,
  describe_cluster: describeCluster,
  offset_range: offsetRange,
  offset_for_time: offsetForTime,
  list_offsets: listOffsets,
  describe_configs: describeConfigs,
  alter_configs: alterConfigs,
  create_partitions: createPartitions,
  delete_records: deleteRecords,
  list_reassignments: listReassignments,
  describe_acls: describeAcls,
}

module.exports = {
  CALLS: Object.fromEntries(Object.entries(CALLS).map(([name, run]) => [name, withAdmin(run)])),
}
