package main

import (
	"errors"
	"time"

	"github.com/IBM/sarama"
)

var saramaCalls = map[string]call{
	"produce":             saramaProduce,
	"consume":             saramaConsume,
	"offset_range":        saramaOffsetRange,
	"offset_for_time":     saramaOffsetForTime,
	"create_topic":        withClusterAdmin(saramaCreateTopic),
	"delete_topic":        withClusterAdmin(saramaDeleteTopic),
	"list_topics":         withClusterAdmin(saramaListTopics),
	"describe_topic":      withClusterAdmin(saramaDescribeTopic),
	"describe_cluster":    withClusterAdmin(saramaDescribeCluster),
	"describe_configs":    withClusterAdmin(saramaDescribeConfigs),
	"alter_configs":       withClusterAdmin(saramaAlterConfigs),
	"change_configs":      withClusterAdmin(saramaChangeConfigs),
	"create_partitions":   withClusterAdmin(saramaCreatePartitions),
	"delete_records":      withClusterAdmin(saramaDeleteRecords),
	"describe_log_dirs":   withClusterAdmin(saramaDescribeLogDirs),
	"elect_leaders":       withClusterAdmin(saramaElectLeaders),
	"list_reassignments":  withClusterAdmin(saramaListReassignments),
	"cancel_reassignment": withClusterAdmin(saramaCancelReassignment),
	"describe_acls":       withClusterAdmin(saramaDescribeACLs),
	"describe_quotas":     withClusterAdmin(saramaDescribeQuotas),
	"describe_scram":      withClusterAdmin(saramaDescribeSCRAM),
}

var saramaAcks = map[string]sarama.RequiredAcks{
	"0": sarama.NoResponse, "1": sarama.WaitForLocal, "all": sarama.WaitForAll,
}

var saramaCodecs = map[string]sarama.CompressionCodec{
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

var saramaIsolation = map[string]sarama.IsolationLevel{
	"read_uncommitted": sarama.ReadUncommitted,
	"read_committed":   sarama.ReadCommitted,
}

// saramaConfig leaves the version as it is unless it is asked for the newest: most programs leave it.
func saramaConfig(asked *request) *sarama.Config {
	config := sarama.NewConfig()
	if asked.Client == "sarama" {
		config.Version = sarama.MaxVersion
	}
	return config
}

func saramaProduce(asked *request) (any, error) {
	config := saramaConfig(asked)
	config.Producer.RequiredAcks = saramaAcks[asked.Acks]
	config.Producer.Compression = saramaCodecs[asked.Codec]
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	config.Producer.Flush.Frequency = 20 * time.Millisecond
	if asked.Idempotent {
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1 // sarama refuses anything else here
	}
	if asked.MaxRequestSize > 0 {
		config.Producer.MaxMessageBytes = int(asked.MaxRequestSize)
	}
	producer, err := sarama.NewSyncProducer([]string{asked.Bootstrap}, config)
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	sent := make([]*sarama.ProducerMessage, 0, len(asked.Messages))
	for _, each := range asked.Messages {
		sent = append(sent, saramaMessage(asked, each))
	}
	if err := producer.SendMessages(sent); err != nil {
		return nil, saramaFirst(err)
	}
	offsets := []int64{}
	for _, each := range sent {
		offsets = append(offsets, each.Offset)
	}
	return offsets, nil
}

func saramaMessage(asked *request, from message) *sarama.ProducerMessage {
	made := &sarama.ProducerMessage{
		Topic: asked.Topic, Partition: asked.Partition, Timestamp: time.UnixMilli(from.TimestampMs),
	}
	if from.Key != nil {
		made.Key = sarama.ByteEncoder(from.Key)
	}
	if from.Value != nil {
		made.Value = sarama.ByteEncoder(from.Value)
	}
	for _, each := range from.Headers {
		made.Headers = append(made.Headers, sarama.RecordHeader{Key: []byte(each.Name), Value: each.Value})
	}
	return made
}

func saramaFirst(err error) error {
	var several sarama.ProducerErrors
	if errors.As(err, &several) && len(several) > 0 {
		return several[0].Err
	}
	return err
}

func saramaConsume(asked *request) (any, error) {
	config := saramaConfig(asked)
	config.Consumer.IsolationLevel = saramaIsolation[asked.Isolation]
	config.Consumer.Return.Errors = true
	client, err := sarama.NewClient([]string{asked.Bootstrap}, config)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	messages := make(chan *sarama.ConsumerMessage)
	failures := make(chan error)
	done := make(chan struct{})
	defer close(done)
	for _, partition := range asked.Partitions {
		position, err := saramaPosition(client, asked, partition)
		if err != nil {
			return nil, err
		}
		reading, err := consumer.ConsumePartition(asked.Topic, partition, position)
		if err != nil {
			return nil, err
		}
		defer reading.Close()
		go saramaForward(reading, messages, failures, done)
	}
	return saramaCollect(asked, messages, failures)
}

func saramaPosition(client sarama.Client, asked *request, partition int32) (int64, error) {
	switch asked.At {
	case "earliest":
		return sarama.OffsetOldest, nil
	case "latest":
		return sarama.OffsetNewest, nil
	case "timestamp":
		offset, err := client.GetOffset(asked.Topic, partition, asked.Argument)
		if offset < 0 { // nothing that late: the end
			return sarama.OffsetNewest, err
		}
		return offset, err
	}
	return asked.Argument, nil
}

func saramaForward(
	from sarama.PartitionConsumer, messages chan<- *sarama.ConsumerMessage, failures chan<- error, done <-chan struct{},
) {
	for {
		select {
		case each := <-from.Messages():
			if each == nil {
				return
			}
			select {
			case messages <- each:
			case <-done:
				return
			}
		case failed := <-from.Errors():
			if failed == nil {
				return
			}
			select {
			case failures <- failed.Err:
			case <-done:
				return
			}
		case <-done:
			return
		}
	}
}

func saramaCollect(
	asked *request, messages <-chan *sarama.ConsumerMessage, failures <-chan error,
) (any, error) {
	records := []received{}
	deadline := time.After(time.Duration(asked.TimeoutMs) * time.Millisecond)
	for len(records) < asked.Count {
		select {
		case each := <-messages:
			records = append(records, saramaReceived(each))
		case err := <-failures:
			return nil, err
		case <-deadline:
			return records, nil
		}
	}
	return records, nil
}

func saramaReceived(from *sarama.ConsumerMessage) received {
	headers := []header{}
	for _, each := range from.Headers {
		headers = append(headers, header{string(each.Key), each.Value})
	}
	return received{
		Partition: from.Partition,
		Offset:    from.Offset,
		Message:   message{from.Key, from.Value, from.Timestamp.UnixMilli(), headers},
	}
}

func saramaOffsetRange(asked *request) (any, error) {
	first, err := saramaOffset(asked, sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	last, err := saramaOffset(asked, sarama.OffsetNewest)
	return []int64{first, last}, err
}

func saramaOffsetForTime(asked *request) (any, error) {
	found, err := saramaOffset(asked, asked.Argument)
	if err != nil || found < 0 {
		return nil, err
	}
	return found, nil
}

func saramaOffset(asked *request, at int64) (int64, error) {
	client, err := sarama.NewClient([]string{asked.Bootstrap}, saramaConfig(asked))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	return client.GetOffset(asked.Topic, asked.Partition, at)
}

func withClusterAdmin(run func(sarama.ClusterAdmin, *request) (any, error)) call {
	return func(asked *request) (any, error) {
		admin, err := sarama.NewClusterAdmin([]string{asked.Bootstrap}, saramaConfig(asked))
		if err != nil {
			return nil, err
		}
		defer admin.Close()
		return run(admin, asked)
	}
}

// saramaErrorCode looks where sarama keeps a code: in the error itself, or in the one of three kinds around it.
func saramaErrorCode(err error) *int16 {
	var code sarama.KError
	var described *sarama.DescribeConfigError
	var altered *sarama.AlterConfigError
	switch {
	case errors.As(err, &described):
		code = described.Err
	case errors.As(err, &altered):
		code = altered.Err
	case !errors.As(err, &code):
		return nil
	}
	number := int16(code)
	return &number
}
