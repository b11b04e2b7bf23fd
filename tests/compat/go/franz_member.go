package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const franzPollRecords = 500

// What tells a member that a rebalance was faster than its commit.
var franzPassing = []error{
	kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.StaleMemberEpoch,
}

var franzBalancers = map[string]kgo.GroupBalancer{
	"":                   kgo.RangeBalancer(),
	"range":              kgo.RangeBalancer(),
	"uniform":            kgo.StickyBalancer(), // which is what it asks a broker for that assigns by itself
	"cooperative-sticky": kgo.CooperativeStickyBalancer(),
}

func franzMember(untilTold context.Context, asked *membership) error {
	client, err := kgo.NewClient(franzMemberOptions(asked)...)
	if err != nil {
		return err
	}
	defer client.CloseAllowingRebalance() // which leaves
	for untilTold.Err() == nil {
		fetches := client.PollRecords(untilTold, franzPollRecords)
		if err := franzEnd(asked, fetches); err != nil {
			return err
		}
		records := fetches.Records()
		for _, record := range records {
			asked.tell("got", record.Partition, record.Offset)
		}
		if err := franzCommit(client, asked, records); err != nil {
			return err
		}
		client.AllowRebalance()
	}
	return nil
}

func franzMemberOptions(asked *membership) []kgo.Opt {
	changed := func(told func([]int32)) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			told(partitions[asked.topic])
		}
	}
	gone := changed(func(partitions []int32) {
		if len(partitions) > 0 { // it is called at every end of a generation
			asked.own(nil, partitions)
		}
	})
	options := []kgo.Opt{
		kgo.SeedBrokers(asked.bootstrap),
		kgo.ConsumerGroup(asked.group),
		kgo.ConsumeTopics(asked.topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(franzBalancers[asked.options["strategy"]]),
		kgo.HeartbeatInterval(memberHeartbeat),
		kgo.SessionTimeout(asked.sessionTimeout()),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(), // so that what is committed is what it owns
		kgo.OnPartitionsAssigned(changed(func(partitions []int32) { asked.own(partitions, nil) })),
		kgo.OnPartitionsRevoked(gone),
		kgo.OnPartitionsLost(gone),
		kgo.RetryBackoffFn(func(int) time.Duration { return memberBackoff }),
	}
	if asked.client == "franz-go-consumer" {
		options = append(options, kgo.ServerSideBalancer())
	}
	if instance := asked.options["instance"]; instance != "" {
		options = append(options, kgo.InstanceID(instance))
	}
	return options
}

// franzEnd returns what a member cannot go on after: its name belongs to another.
func franzEnd(asked *membership, fetches kgo.Fetches) error {
	for _, each := range fetches.Errors() {
		if errors.Is(each.Err, kerr.FencedInstanceID) || errors.Is(each.Err, kerr.UnreleasedInstanceID) {
			return each.Err
		}
		if !errors.Is(each.Err, context.Canceled) {
			asked.mention(each.Err)
		}
	}
	return nil
}

func franzCommit(client *kgo.Client, asked *membership, records []*kgo.Record) error {
	if len(records) == 0 {
		return nil
	}
	limit, cancel := context.WithTimeout(context.Background(), memberCommit)
	defer cancel()
	err := client.CommitRecords(limit, records...)
	if err == nil {
		ends := map[int32]int64{}
		for _, record := range records {
			ends[record.Partition] = record.Offset + 1
		}
		for partition, end := range ends {
			asked.tell("committed", partition, end)
		}
		return nil
	}
	if franzPasses(err) {
		asked.tell("uncommitted", err)
		return nil
	}
	return err
}

// franzPasses says whether a failed commit is nothing to end for; what is not Kafka's is a broker that is away.
func franzPasses(err error) bool {
	var refused *kerr.Error
	return !errors.As(err, &refused) || refused.Retriable || slices.Contains(franzPassing, err)
}
