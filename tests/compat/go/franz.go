package main

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var franzCalls = map[string]call{
	"produce":             franzProduce,
	"consume":             franzConsume,
	"offset_range":        withAdmin(franzOffsetRange),
	"offset_for_time":     withAdmin(franzOffsetForTime),
	"create_topic":        withAdmin(franzCreateTopic),
	"delete_topic":        withAdmin(franzDeleteTopic),
	"list_topics":         withAdmin(franzListTopics),
	"describe_topic":      withAdmin(franzDescribeTopic),
	"describe_cluster":    withAdmin(franzDescribeCluster),
	"describe_configs":    withAdmin(franzDescribeConfigs),
	"alter_configs":       withAdmin(franzAlterConfigs),
	"change_configs":      withAdmin(franzChangeConfigs),
	"create_partitions":   withAdmin(franzCreatePartitions),
	"delete_records":      withAdmin(franzDeleteRecords),
	"describe_log_dirs":   withAdmin(franzDescribeLogDirs),
	"list_offsets":        withAdmin(franzListOffsets),
	"elect_leaders":       withAdmin(franzElectLeaders),
	"list_reassignments":  withAdmin(franzListReassignments),
	"cancel_reassignment": withAdmin(franzCancelReassignment),
	"describe_acls":       withAdmin(franzDescribeACLs),
	"describe_producers":  withAdmin(franzDescribeProducers),
	"describe_quotas":     withAdmin(franzDescribeQuotas),
	"describe_scram":      withAdmin(franzDescribeSCRAM),
}

var franzAcks = map[string]kgo.Acks{"0": kgo.NoAck(), "1": kgo.LeaderAck(), "all": kgo.AllISRAcks()}

var franzCodecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

var franzIsolation = map[string]kgo.IsolationLevel{
	"read_uncommitted": kgo.ReadUncommitted(),
	"read_committed":   kgo.ReadCommitted(),
}

func franzProduce(asked *request) (any, error) {
	options := []kgo.Opt{
		kgo.SeedBrokers(asked.Bootstrap),
		kgo.AllowAutoTopicCreation(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RequiredAcks(franzAcks[asked.Acks]),
		kgo.ProducerBatchCompression(franzCodecs[asked.Codec]),
		kgo.ProducerLinger(20 * time.Millisecond),
	}
	if !asked.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	if asked.MaxRequestSize > 0 {
		options = append(options, kgo.ProducerBatchMaxBytes(asked.MaxRequestSize))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	limit, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	records := make([]*kgo.Record, 0, len(asked.Messages))
	for _, each := range asked.Messages {
		records = append(records, franzRecord(asked, each))
	}
	offsets := []int64{}
	for _, sent := range client.ProduceSync(limit, records...) {
		if sent.Err != nil {
			return nil, sent.Err
		}
		offsets = append(offsets, sent.Record.Offset)
	}
	return offsets, nil
}

func franzRecord(asked *request, from message) *kgo.Record {
	record := &kgo.Record{
		Topic:     asked.Topic,
		Partition: asked.Partition,
		Key:       from.Key,
		Value:     from.Value,
		Timestamp: time.UnixMilli(from.TimestampMs),
	}
	for _, each := range from.Headers {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: each.Name, Value: each.Value})
	}
	return record
}

func franzConsume(asked *request) (any, error) {
	options := []kgo.Opt{
		kgo.SeedBrokers(asked.Bootstrap),
		kgo.FetchIsolationLevel(franzIsolation[asked.Isolation]),
	}
	switch asked.Reset {
	case "earliest":
		options = append(options, kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	case "latest":
		options = append(options, kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()))
	default:
		options = append(options, kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	}
	if asked.At == "reset" { // no position: all partitions of the topic, from where the reset says
		options = append(options, kgo.ConsumeTopics(asked.Topic))
	} else {
		options = append(options, kgo.ConsumePartitions(franzPositions(asked)))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return franzPoll(client, asked)
}

func franzPositions(asked *request) map[string]map[int32]kgo.Offset {
	at := kgo.NewOffset()
	switch asked.At {
	case "earliest":
		at = at.AtStart()
	case "latest":
		at = at.AtEnd()
	case "offset":
		at = at.At(asked.Argument)
	case "timestamp":
		at = at.AfterMilli(asked.Argument)
	}
	positions := map[int32]kgo.Offset{}
	for _, partition := range asked.Partitions {
		positions[partition] = at
	}
	return map[string]map[int32]kgo.Offset{asked.Topic: positions}
}

func franzPoll(client *kgo.Client, asked *request) (any, error) {
	limit, cancel := context.WithTimeout(context.Background(), time.Duration(asked.TimeoutMs)*time.Millisecond)
	defer cancel()
	records := []received{}
	for len(records) < asked.Count {
		fetches := client.PollFetches(limit)
		for _, failed := range fetches.Errors() {
			if errors.Is(failed.Err, context.DeadlineExceeded) {
				return records, nil
			}
			return nil, failed.Err
		}
		fetches.EachRecord(func(record *kgo.Record) {
			records = append(records, franzReceived(record))
		})
	}
	return records, nil
}

func franzReceived(record *kgo.Record) received {
	headers := []header{}
	for _, each := range record.Headers {
		headers = append(headers, header{each.Key, each.Value})
	}
	return received{
		Partition: record.Partition,
		Offset:    record.Offset,
		Message:   message{record.Key, record.Value, record.Timestamp.UnixMilli(), headers},
	}
}

// withAdmin gives a call an admin client and a time limit of its own.
func withAdmin(run func(context.Context, *kadm.Client, *request) (any, error)) call {
	return func(asked *request) (any, error) {
		client, err := kgo.NewClient(kgo.SeedBrokers(asked.Bootstrap))
		if err != nil {
			return nil, err
		}
		defer client.Close()
		limit, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		return run(limit, kadm.NewClient(client), asked)
	}
}

func franzErrorCode(err error) *int16 {
	var refused *kerr.Error
	if errors.As(err, &refused) {
		return &refused.Code
	}
	return nil
}
