package main

import (
	"fmt"
	"net"
	"strconv"

	"github.com/IBM/sarama"
)

func saramaCreateTopic(admin sarama.ClusterAdmin, asked *request) (any, error) {
	detail := sarama.TopicDetail{
		NumPartitions: int32(asked.Count), ReplicationFactor: 1, ConfigEntries: asked.Configs,
	}
	return nil, admin.CreateTopic(asked.Topic, &detail, false)
}

func saramaDeleteTopic(admin sarama.ClusterAdmin, asked *request) (any, error) {
	return nil, admin.DeleteTopic(asked.Topic)
}

func saramaListTopics(admin sarama.ClusterAdmin, _ *request) (any, error) {
	found, err := admin.ListTopics()
	names := []string{}
	for name := range found {
		names = append(names, name)
	}
	return names, err
}

func saramaDescribeTopic(admin sarama.ClusterAdmin, asked *request) (any, error) {
	found, err := admin.DescribeTopics([]string{asked.Topic})
	if err != nil {
		return nil, err
	}
	if found[0].Err != sarama.ErrNoError {
		return nil, found[0].Err
	}
	views := []partitionView{}
	for _, each := range found[0].Partitions {
		views = append(views, partitionView{each.ID, each.Leader})
	}
	return views, nil
}

func saramaDescribeCluster(admin sarama.ClusterAdmin, _ *request) (any, error) {
	brokers, _, err := admin.DescribeCluster()
	if err != nil {
		return nil, err
	}
	view := clusterView{Nodes: []node{}}
	for _, broker := range brokers {
		host, port, err := net.SplitHostPort(broker.Addr())
		if err != nil {
			return nil, err
		}
		number, err := strconv.Atoi(port)
		if err != nil {
			return nil, err
		}
		view.Nodes = append(view.Nodes, node{broker.ID(), host, int32(number)})
	}
	return view, nil
}

func saramaResource(asked *request) sarama.ConfigResourceType {
	if asked.Kind == "broker" {
		return sarama.BrokerResource
	}
	return sarama.TopicResource
}

func saramaDescribeConfigs(admin sarama.ClusterAdmin, asked *request) (any, error) {
	found, err := admin.DescribeConfig(sarama.ConfigResource{Type: saramaResource(asked), Name: asked.Name})
	settings := map[string]setting{}
	for _, each := range found {
		// sarama makes an empty string of null.
		settings[each.Name] = setting{&each.Value, int8(each.Source), &each.ReadOnly, each.Sensitive}
	}
	return settings, err
}

func saramaAlterConfigs(admin sarama.ClusterAdmin, asked *request) (any, error) {
	return nil, admin.AlterConfig(saramaResource(asked), asked.Name, asked.Configs, false)
}

func saramaChangeConfigs(admin sarama.ClusterAdmin, asked *request) (any, error) {
	changes := map[string]sarama.IncrementalAlterConfigsEntry{}
	for name, value := range asked.Configs {
		changes[name] = sarama.IncrementalAlterConfigsEntry{
			Operation: sarama.IncrementalAlterConfigsOperationSet, Value: value,
		}
	}
	for _, name := range asked.Deleted {
		changes[name] = sarama.IncrementalAlterConfigsEntry{
			Operation: sarama.IncrementalAlterConfigsOperationDelete,
		}
	}
	return nil, admin.IncrementalAlterConfig(saramaResource(asked), asked.Name, changes, false)
}

func saramaCreatePartitions(admin sarama.ClusterAdmin, asked *request) (any, error) {
	return nil, admin.CreatePartitions(asked.Topic, int32(asked.Count), nil, false)
}

// saramaDeleteRecords returns nothing: sarama keeps the low watermark to itself.
func saramaDeleteRecords(admin sarama.ClusterAdmin, asked *request) (any, error) {
	return nil, admin.DeleteRecords(asked.Topic, map[int32]int64{asked.Partition: asked.Before})
}

func saramaDescribeLogDirs(admin sarama.ClusterAdmin, _ *request) (any, error) {
	brokers, _, err := admin.DescribeCluster()
	if err != nil {
		return nil, err
	}
	numbers := []int32{}
	for _, broker := range brokers {
		numbers = append(numbers, broker.ID())
	}
	found, err := admin.DescribeLogDirs(numbers)
	sizes := []dirSize{}
	for _, dirs := range found {
		for _, dir := range dirs {
			if dir.ErrorCode != sarama.ErrNoError {
				return nil, dir.ErrorCode
			}
			for _, topic := range dir.Topics {
				for _, each := range topic.Partitions {
					sizes = append(sizes, dirSize{dir.Path, topic.Topic, each.PartitionID, each.Size})
				}
			}
		}
	}
	return sizes, err
}

func saramaElectLeaders(admin sarama.ClusterAdmin, asked *request) (any, error) {
	found, err := admin.ElectLeaders(
		sarama.PreferredElection, map[string][]int32{asked.Topic: asked.Partitions},
	)
	outcomes := []outcome{}
	for partition, each := range found[asked.Topic] {
		outcomes = append(outcomes, outcome{partition, int16(each.ErrorCode)})
	}
	return outcomes, err
}

func saramaListReassignments(admin sarama.ClusterAdmin, asked *request) (any, error) {
	found, err := admin.ListPartitionReassignments(asked.Topic, []int32{asked.Partition})
	return len(found[asked.Topic]), err
}

func saramaCancelReassignment(admin sarama.ClusterAdmin, asked *request) (any, error) {
	assignment := make([][]int32, asked.Partition+1) // null replicas cancel
	return nil, admin.AlterPartitionReassignments(asked.Topic, assignment)
}

func saramaDescribeACLs(admin sarama.ClusterAdmin, _ *request) (any, error) {
	found, err := admin.ListAcls(sarama.AclFilter{
		ResourceType:              sarama.AclResourceAny,
		ResourcePatternTypeFilter: sarama.AclPatternAny,
		Operation:                 sarama.AclOperationAny,
		PermissionType:            sarama.AclPermissionAny,
	})
	return len(found), err
}

func saramaDescribeQuotas(admin sarama.ClusterAdmin, _ *request) (any, error) {
	found, err := admin.DescribeClientQuotas(nil, false)
	return len(found), err
}

func saramaDescribeSCRAM(admin sarama.ClusterAdmin, _ *request) (any, error) {
	found, err := admin.DescribeUserScramCredentials(nil)
	for _, each := range found {
		if each.ErrorCode != sarama.ErrNoError {
			return nil, fmt.Errorf("user %s: %w", each.User, each.ErrorCode)
		}
	}
	return len(found), err
}
