package main

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"
)

// saramaMember commits by itself what was marked, every so often and when a generation ends, as sarama does.
func saramaMember(untilTold context.Context, asked *membership) error {
	group, err := sarama.NewConsumerGroup([]string{asked.bootstrap}, asked.group, saramaMemberConfig(asked))
	if err != nil {
		return err
	}
	go func() {
		for failed := range group.Errors() {
			asked.mention(failed)
		}
	}()
	for untilTold.Err() == nil { // Consume ends with each generation
		err := group.Consume(untilTold, []string{asked.topic}, &saramaShare{asked})
		if errors.Is(err, sarama.ErrFencedInstancedId) {
			_ = group.Close()
			return err
		}
		if err != nil {
			asked.mention(err)
			time.Sleep(memberBackoff)
		}
	}
	return group.Close()
}

func saramaMemberConfig(asked *membership) *sarama.Config {
	config := saramaConfig(&request{Client: asked.client})
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Interval = memberBackoff
	config.Consumer.Return.Errors = true
	config.Consumer.Group.Session.Timeout = asked.sessionTimeout()
	config.Consumer.Group.Heartbeat.Interval = memberHeartbeat
	config.Consumer.Group.InstanceId = asked.options["instance"]
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	config.Consumer.Group.Rebalance.Retry.Backoff = memberBackoff
	config.Metadata.Retry.Backoff = memberBackoff
	return config
}

// saramaShare is told of the generations, and reads each partition in a goroutine of its own.
type saramaShare struct {
	asked *membership
}

func (share *saramaShare) Setup(session sarama.ConsumerGroupSession) error {
	share.asked.own(session.Claims()[share.asked.topic], nil)
	return nil
}

func (share *saramaShare) Cleanup(session sarama.ConsumerGroupSession) error {
	share.asked.own(nil, session.Claims()[share.asked.topic])
	return nil
}

func (share *saramaShare) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, more := <-claim.Messages():
			if !more {
				return nil
			}
			share.asked.tell("got", message.Partition, message.Offset)
			session.MarkMessage(message, "")
		case <-session.Context().Done():
			return nil
		}
	}
}
