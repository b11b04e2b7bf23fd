package main

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Producers with transactions stay from one call to the next; a process has one at a time.
//
// `txn_open` makes it and takes the transactional id `name` over; `txn_begin`, `txn_send`, `txn_offset`, `txn_commit`,
// `txn_abort` and `txn_close` are what they say.

var franzTransactions = struct {
	client *kgo.Client
	id     string
}{}

func init() {
	for name, run := range map[string]func(context.Context, *kgo.Client, *request) error{
		"txn_begin":  func(_ context.Context, client *kgo.Client, _ *request) error { return client.BeginTransaction() },
		"txn_send":   franzTxnSend,
		"txn_offset": franzTxnOffset,
		"txn_commit": func(limit context.Context, client *kgo.Client, _ *request) error {
			return client.EndTransaction(limit, kgo.TryCommit)
		},
		"txn_abort": func(limit context.Context, client *kgo.Client, _ *request) error {
			if err := client.AbortBufferedRecords(limit); err != nil {
				return err
			}
			return client.EndTransaction(limit, kgo.TryAbort)
		},
		"txn_close": func(_ context.Context, client *kgo.Client, _ *request) error {
			client.Close()
			return nil
		},
	} {
		franzCalls[name] = func(asked *request) (any, error) {
			limit, cancel := context.WithTimeout(context.Background(), callTimeout)
			defer cancel()
			return nil, run(limit, franzTransactions.client, asked)
		}
	}
	franzCalls["txn_open"] = franzTxnOpen
	for name, run := range saramaTransactionCalls {
		saramaCalls[name] = func(asked *request) (any, error) { return nil, run(asked) }
	}
}

func franzTxnOpen(asked *request) (any, error) {
	options := []kgo.Opt{
		kgo.SeedBrokers(asked.Bootstrap),
		kgo.TransactionalID(asked.Name),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	}
	if asked.TimeoutMs > 0 {
		options = append(options, kgo.TransactionTimeout(time.Duration(asked.TimeoutMs)*time.Millisecond))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	franzTransactions.client, franzTransactions.id = client, asked.Name
	limit, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	_, _, err = client.ProducerID(limit)
	return nil, err
}

func franzTxnSend(limit context.Context, client *kgo.Client, asked *request) error {
	records := make([]*kgo.Record, 0, len(asked.Messages))
	for _, each := range asked.Messages {
		records = append(records, franzRecord(asked, each))
	}
	return client.ProduceSync(limit, records...).FirstErr()
}

// franzTxnOffset sends the requests by hand: the client itself does so only for groups that it is a member of.
func franzTxnOffset(limit context.Context, client *kgo.Client, asked *request) error {
	producerID, epoch, err := client.ProducerID(limit)
	if err != nil {
		return err
	}
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch = franzTransactions.id, producerID, epoch
	add.Group = asked.Name
	added, err := add.RequestWith(limit, client)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(added.ErrorCode); err != nil {
		return err
	}
	commit := kmsg.NewPtrTxnOffsetCommitRequest()
	commit.TransactionalID, commit.ProducerID, commit.ProducerEpoch = franzTransactions.id, producerID, epoch
	commit.Group, commit.Generation = asked.Name, -1
	known, err := kadm.NewClient(client).ListTopics(limit, asked.Topic)
	if err != nil {
		return err
	}
	topic := kmsg.NewTxnOffsetCommitRequestTopic()
	topic.Topic, topic.TopicID = asked.Topic, known[asked.Topic].ID
	partition := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	partition.Partition, partition.Offset = asked.Partition, asked.Argument
	topic.Partitions = append(topic.Partitions, partition)
	commit.Topics = append(commit.Topics, topic)
	committed, err := commit.RequestWith(limit, client)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(committed.Topics[0].Partitions[0].ErrorCode)
}

var saramaProducer sarama.SyncProducer

var saramaTransactionCalls = map[string]func(*request) error{
	"txn_open":  saramaTxnOpen,
	"txn_begin": func(*request) error { return saramaProducer.BeginTxn() },
	"txn_send": func(asked *request) error {
		sent := make([]*sarama.ProducerMessage, 0, len(asked.Messages))
		for _, each := range asked.Messages {
			sent = append(sent, saramaMessage(asked, each))
		}
		return saramaFirst(saramaProducer.SendMessages(sent))
	},
	"txn_offset": func(asked *request) error {
		offset := &sarama.PartitionOffsetMetadata{Partition: asked.Partition, Offset: asked.Argument}
		return saramaProducer.AddOffsetsToTxn(
			map[string][]*sarama.PartitionOffsetMetadata{asked.Topic: {offset}}, asked.Name)
	},
	"txn_commit": func(*request) error { return saramaProducer.CommitTxn() },
	"txn_abort":  func(*request) error { return saramaProducer.AbortTxn() },
	"txn_close":  func(*request) error { return saramaProducer.Close() },
}

func saramaTxnOpen(asked *request) error {
	config := saramaConfig(asked)
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	config.Producer.Transaction.ID = asked.Name
	config.Net.MaxOpenRequests = 1
	if asked.TimeoutMs > 0 {
		config.Producer.Transaction.Timeout = time.Duration(asked.TimeoutMs) * time.Millisecond
	}
	producer, err := sarama.NewSyncProducer([]string{asked.Bootstrap}, config)
	if err != nil {
		return err
	}
	if producer.TxnStatus()&sarama.ProducerTxnFlagInitializing != 0 {
		return errors.New("the transactional id is not taken over yet")
	}
	saramaProducer = producer
	return nil
}
