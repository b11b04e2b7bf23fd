package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
)

func franzOffsetRange(limit context.Context, admin *kadm.Client, asked *request) (any, error) {
	start, err := admin.ListStartOffsets(limit, asked.Topic)
	if err != nil {
		return nil, err
	}
	end, err := admin.ListEndOffsets(limit, asked.Topic)
	if err != nil {
		return nil, err
	}
	first, err := franzListed(start, asked)
	if err != nil {
		return nil, err
	}
	last, err := franzListed(end, asked)
	return []int64{first.Offset, last.Offset}, err
}

func franzOffsetForTime(limit context.Context, admin *kadm.Client, asked *request) (any, error) {
	listed, err := admin.ListOffsetsAfterMilli(limit, asked.Argument, asked.Topic)
	if err != nil {
		return nil, err
	}
	found, err := franzListed(listed, asked)
	if err != nil || found.Timestamp < 0 { // nothing that late: kadm puts the end offset in
		return nil, err
	}
	return found.Offset, nil
}

func franzListOffsets(limit context.Context, admin *kadm.Client, asked *request) (any, error) {
	var listed kadm.ListedOffsets
	var err error
	switch asked.At {
	case "earliest":
		listed, err = admin.ListStartOffsets(limit, asked.Topic)
	case "latest":
		listed, err = admin.ListEndOffsets(limit, asked.Topic)
	case "max_timestamp":
		listed, err = admin.ListMaxTimestampOffsets(limit, asked.Topic)
	default:
		listed, err = admin.ListOffsetsAfterMilli(limit, asked.Argument, asked.Topic)
	}
	if err != nil {
		return nil, err
	}
	found, err := franzListed(listed, asked)
	return found.Offset, err
}

func franzListed(listed kadm.ListedOffsets, asked *request) (kadm.ListedOffset, error) {
	found, ok := listed.Lookup(asked.Topic, asked.Partition)
	if !ok {
		return found, fmt.Errorf("no answer for %s-%d", asked.Topic, asked.Partition)
	}
	return found, found.Err
}

func franzCreateTopic(limit context.Context, admin *kadm.Client, asked *request) (any, error) {
	_, err := admin.CreateTopic(limit, int32(asked.Count), 1, asked.Configs, asked.Topic)
	return nil, err
}

func franzDeleteTopic(limit context.Context, admin *kadm.Client, asked *request) (any, error) {
	_, err := admin.DeleteTopic(limit, asked.Topic)
	return nil, err
}

func franzListTopics(limit context.Context, admin *kadm.Client, _ *request) (any, error) {
	found, err := admin.ListTopics(limit)
	return found.Names(), err
}

func franzDescribeTopic(limit context.Context, admin *kadm.Client, asked *request) (any, error) {
	found, err := admin.ListTopics(limit, asked.Topic)
	if err != nil {
		return nil, err
	}
	topic := found[asked.Topic]
	views := []partitionView{}
	for _, each := range topic.Partitions.Sorted() {
		views = append(views, partitionView{each.Partition, each.Leader})
	}
	return views, topic.Err
}

func franzDescribeCluster(limit context.Context, admin *kadm.Client, _ *request) (any, error) {
	found, err := admin.BrokerMetadata(limit)
	if err != nil {
		return nil, err
	}
	view := clusterView{ClusterID: &found.Cluster, Nodes: []node{}}
	for _, broker := range found.Brokers {
		view.Nodes = append(view.Nodes, node{broker.NodeID, broker.Host, broker.Port})
	}
	return view, nil
}

func franzDescribeConfigs(limit context.Context, admin *kadm.Client, asked *request) (any, error) {
	var found kadm.ResourceConfigs
	var err error
	if asked.Kind == "broker" {
		number, wrong := strconv.Atoi(asked.Name)
		if wrong != nil {
			return nil, wrong
		}
		found, err = admin.DescribeBrokerConfigs(limit, int32(number))
	} else {
		found, err = admin.DescribeTopicConfigs(limit, asked.Name)
	}
	if err != nil {
		return nil, err
	}
	resource, err := found.On(asked.Name, nil)
	if err != nil {
		return nil, err
	}
	if resource.Err != nil {
		return nil, resource.Err
	}
	settings := map[string]setting{}
	for _, each := range resource.Configs {
		settings[each.Key] = setting{each.Value, int8(each.Source), nil, each.Sensitive}
	}
	return settings, nil
}

// franzAlterConfigs replaces everything that is set on a topic.
func franzAlterConfigs(limit context.Context, admin *kadm.Client, asked *request) (any, error) {
	return franzAltered(admin.AlterTopicConfigsState(limit, franzChanges(asked), asked.Name))
}

// franzChangeConfigs sets and deletes what is named and leaves the rest.
func franzChangeConfigs(limit context.Context, admin *kadm.Client, asked *request) (any, error) {
	if asked.Kind == "broker" {
		number, err := strconv.Atoi(asked.Name)
		if err != nil {
			return nil, err
		}
		return franzAltered(admin.AlterBrokerConfigs(limit, franzChanges(asked), int32(number)))
	}
	return franzAltered(admin.AlterTopicConfigs(limit, franzChanges(asked), asked.Name))
}

func franzChanges(asked *request) []kadm.AlterConfig {
	changes := []kadm.AlterConfig{}
	for name, value := range asked.Configs {
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: value})
	}
	for _, name := range asked.Deleted {
		changes = append(changes, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: name})
	}
	return changes
}

func franzAltered(answers kadm.AlterConfigsResponses, err error) (any, error) {
	for _, each := range answers {
		err = errors.Join(err, each.Err)
	}
	return nil, err
}

func franzCreatePartitions(limit context.Context, admin *kadm.Client, asked *request) (any, error) {
	answers, err := admin.UpdatePartitions(limit, asked.Count, asked.Topic)
	for _, each := range answers {
		err = errors.Join(err, each.Err)
	}
	return nil, err
}

func franzDeleteRecords(limit context.Context, admin *kadm.Client, asked *request) (any, error) {
	before := kadm.Offsets{}
	before.Add(kadm.Offset{Topic: asked.Topic, Partition: asked.Partition, At: asked.Before})
	answers, err := admin.DeleteRecords(limit, before)
	if err != nil {
		return nil, err
	}
	answer, _ := answers.Lookup(asked.Topic, asked.Partition)
	return answer.LowWatermark, answer.Err
}

func franzDescribeLogDirs(limit context.Context, admin *kadm.Client, _ *request) (any, error) {
	found, err := admin.DescribeAllLogDirs(limit, nil)
	sizes := []dirSize{}
	found.Each(func(dir kadm.DescribedLogDir) {
		err = errors.Join(err, dir.Err)
		dir.Topics.Each(func(each kadm.DescribedLogDirPartition) {
			sizes = append(sizes, dirSize{dir.Dir, each.Topic, each.Partition, each.Size})
		})
	})
	return sizes, err
}

func franzPartitions(asked *request) kadm.TopicsSet {
	set := kadm.TopicsSet{}
	set.Add(asked.Topic, asked.Partitions...)
	return set
}

func franzOutcome(partition int32, err error) outcome {
	if code := franzErrorCode(err); code != nil {
		return outcome{partition, *code}
	}
	return outcome{partition, 0}
}

func franzElectLeaders(limit context.Context, admin *kadm.Client, asked *request) (any, error) {
	found, err := admin.ElectLeaders(limit, kadm.ElectPreferredReplica, franzPartitions(asked))
	outcomes := []outcome{}
	for _, partitions := range found {
		for _, each := range partitions {
			outcomes = append(outcomes, franzOutcome(each.Partition, each.Err))
		}
	}
	return outcomes, err
}

func franzListReassignments(limit context.Context, admin *kadm.Client, _ *request) (any, error) {
	found, err := admin.ListPartitionReassignments(limit, nil)
	return len(found), err
}

func franzCancelReassignment(limit context.Context, admin *kadm.Client, asked *request) (any, error) {
	cancelled := kadm.AlterPartitionAssignmentsReq{}
	cancelled.CancelAssign(asked.Topic, asked.Partition)
	answers, err := admin.AlterPartitionAssignments(limit, cancelled)
	answers.Each(func(each kadm.AlterPartitionAssignmentsResponse) { err = errors.Join(err, each.Err) })
	return nil, err
}

func franzDescribeACLs(limit context.Context, admin *kadm.Client, _ *request) (any, error) {
	every := kadm.NewACLs().AnyResource().Allow().AllowHosts().Deny().DenyHosts().Operations().
		ResourcePatternType(kadm.ACLPatternAny)
	found, err := admin.DescribeACLs(limit, every)
	count := 0
	for _, each := range found {
		err = errors.Join(err, each.Err)
		count += len(each.Described)
	}
	return count, err
}

func franzDescribeProducers(limit context.Context, admin *kadm.Client, asked *request) (any, error) {
	found, err := admin.DescribeProducers(limit, franzPartitions(asked))
	views := []producerView{}
	found.EachPartition(func(partition kadm.DescribedProducersPartition) {
		err = errors.Join(err, partition.Err)
	})
	found.EachProducer(func(each kadm.DescribedProducer) {
		views = append(views, producerView{each.ProducerID, int32(each.ProducerEpoch), each.LastSequence})
	})
	return views, err
}

func franzDescribeQuotas(limit context.Context, admin *kadm.Client, _ *request) (any, error) {
	found, err := admin.DescribeClientQuotas(limit, false, nil)
	return len(found), err
}

func franzDescribeSCRAM(limit context.Context, admin *kadm.Client, _ *request) (any, error) {
	found, err := admin.DescribeUserSCRAMs(limit)
	return len(found), err
}
