import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.quota.ClientQuotaFilter;

/**
 * Administration beyond topics for ClientProbe: each method is one call of the Java admin client.
 *
 * Two calls exist in some of the versions only, and are found by reflection: alterConfigs went with 4.0,
 * listConfigResources came with 4.1.
 */
final class AdminCalls {
    private final Admin admin;
    private final ClientProbe.Command command;
    private final PrintStream output;

    AdminCalls(Admin admin, ClientProbe.Command command, PrintStream output) {
        this.admin = admin;
        this.command = command;
        this.output = output;
    }

    void run() throws Exception {
        switch (command.name()) {
            case "describe_configs" -> describeConfigs();
            case "change_configs" -> changeConfigs();
            case "alter_configs" -> alterConfigs();
            case "create_partitions" -> createPartitions();
            case "delete_records" -> deleteRecords();
            case "list_offsets" -> listOffsets();
            case "describe_log_dirs" -> describeLogDirs();
            case "describe_replica_log_dirs" -> describeReplicaLogDirs();
            case "describe_producers" -> describeProducers();
            case "elect_leaders" -> electLeaders();
            case "list_reassignments" -> count(admin.listPartitionReassignments().reassignments().get().size());
            case "cancel_reassignment" -> cancelReassignment();
            case "describe_acls" -> count(admin.describeAcls(AclBindingFilter.ANY).values().get().size());
            case "describe_quotas" -> count(admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get().size());
            case "describe_scram" -> count(admin.describeUserScramCredentials().all().get().size());
            case "describe_quorum" -> describeQuorum();
            case "describe_features" -> describeFeatures();
            case "describe_topic_partitions" -> describeTopicPartitions();
            case "list_config_resources" -> listConfigResources();
            default -> throw new IllegalArgumentException("unknown command " + command.name());
        }
    }

    private void describeConfigs() throws Exception {
        ConfigResource resource = resource();
        for (ConfigEntry entry : admin.describeConfigs(List.of(resource)).all().get().get(resource).entries()) {
            output.println("config name=" + ClientProbe.encode(entry.name())
                + (entry.value() == null ? "" : " value=" + ClientProbe.encode(entry.value()))
                + " source=" + entry.source()
                + " read_only=" + entry.isReadOnly());
        }
    }

    private void changeConfigs() throws Exception {
        Collection<AlterConfigOp> changes = new ArrayList<>();
        command.prefixed("set.").forEach((name, value) ->
            changes.add(new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET)));
        command.list("deleted").forEach(name ->
            changes.add(new AlterConfigOp(new ConfigEntry(name, null), AlterConfigOp.OpType.DELETE)));
        admin.incrementalAlterConfigs(Map.of(resource(), changes)).all().get();
    }

    private void alterConfigs() throws Exception {
        List<ConfigEntry> entries = new ArrayList<>();
        command.prefixed("set.").forEach((name, value) -> entries.add(new ConfigEntry(name, value)));
        Object result = Admin.class.getMethod("alterConfigs", Map.class)
            .invoke(admin, Map.of(resource(), new Config(entries)));
        all(result).get();
    }

    private void createPartitions() throws Exception {
        int total = (int) command.number("total", 0);
        List<List<Integer>> assignments = new ArrayList<>();
        command.list("assignments").forEach(node -> assignments.add(List.of(Integer.parseInt(node))));
        NewPartitions wanted = assignments.isEmpty()
            ? NewPartitions.increaseTo(total)
            : NewPartitions.increaseTo(total, assignments);
        admin.createPartitions(Map.of(command.text("topic"), wanted)).all().get();
    }

    private void deleteRecords() throws Exception {
        TopicPartition partition = command.topicPartition();
        RecordsToDelete wish = RecordsToDelete.beforeOffset(command.number("before", 0));
        long start = admin.deleteRecords(Map.of(partition, wish)).lowWatermarks().get(partition).get().lowWatermark();
        output.println("deleted low_watermark=" + start);
    }

    private void listOffsets() throws Exception {
        TopicPartition partition = command.topicPartition();
        OffsetSpec spec = switch (command.text("at")) {
            case "earliest" -> OffsetSpec.earliest();
            case "latest" -> OffsetSpec.latest();
            case "max_timestamp" -> OffsetSpec.maxTimestamp();
            case "earliest_local" -> OffsetSpec.earliestLocal();
            case "latest_tiered" -> OffsetSpec.latestTiered();
            default -> OffsetSpec.forTimestamp(command.number("timestamp", 0));
        };
        var found = admin.listOffsets(Map.of(partition, spec)).partitionResult(partition).get();
        output.println("offset offset=" + found.offset() + " timestamp=" + found.timestamp()
            + " leader_epoch=" + found.leaderEpoch().map(String::valueOf).orElse("-"));
    }

    private void describeLogDirs() throws Exception {
        for (var node : admin.describeLogDirs(nodes()).allDescriptions().get().values()) {
            node.forEach((directory, description) -> description.replicaInfos().forEach((partition, replica) ->
                output.println("replica directory=" + ClientProbe.encode(directory)
                    + " topic=" + ClientProbe.encode(partition.topic())
                    + " partition=" + partition.partition()
                    + " size=" + replica.size())));
        }
    }

    private void describeReplicaLogDirs() throws Exception {
        int node = nodes().iterator().next();
        var replica = new TopicPartitionReplica(command.text("topic"), (int) command.number("partition", 0), node);
        var found = admin.describeReplicaLogDirs(List.of(replica)).values().get(replica).get();
        output.println("replica"
            + (found.getCurrentReplicaLogDir() == null
                ? ""
                : " directory=" + ClientProbe.encode(found.getCurrentReplicaLogDir()))
            + " lag=" + found.getCurrentReplicaOffsetLag()
            + " moving=" + (found.getFutureReplicaLogDir() != null));
    }

    private void describeProducers() throws Exception {
        TopicPartition partition = command.topicPartition();
        var found = admin.describeProducers(List.of(partition)).partitionResult(partition).get();
        found.activeProducers().forEach(producer -> output.println("producer id=" + producer.producerId()
            + " epoch=" + producer.producerEpoch()
            + " last_sequence=" + producer.lastSequence()));
    }

    private void electLeaders() throws Exception {
        Set<TopicPartition> partitions = new LinkedHashSet<>(command.topicPartitions());
        var elected = admin.electLeaders(ElectionType.valueOf(command.text("kind")), partitions).partitions().get();
        elected.forEach((partition, failure) -> output.println("elected partition=" + partition.partition()
            + " error=" + failure.map(each -> Errors.forException(each).name()).orElse("NONE")));
    }

    private void cancelReassignment() throws Exception {
        admin.alterPartitionReassignments(Map.of(command.topicPartition(), Optional.empty())).all().get();
    }

    private void describeQuorum() throws Exception {
        var quorum = admin.describeMetadataQuorum().quorumInfo().get();
        output.println("quorum leader=" + quorum.leaderId() + " high_watermark=" + quorum.highWatermark()
            + " voters=" + String.join(",", quorum.voters().stream().map(each -> "" + each.replicaId()).toList())
            + " observers=" + quorum.observers().size());
    }

    private void describeFeatures() throws Exception {
        var features = admin.describeFeatures().featureMetadata().get();
        features.finalizedFeatures().forEach((name, levels) -> output.println("feature name=" + name
            + " level=" + levels.maxVersionLevel()
            + " supported=" + features.supportedFeatures().get(name).maxVersion()));
    }

    /** With a page of two partitions, so that the client has to ask again. */
    private void describeTopicPartitions() throws Exception {
        String name = command.text("topic");
        var options = new DescribeTopicsOptions().partitionSizeLimitPerResponse(2);
        var topic = admin.describeTopics(List.of(name), options).allTopicNames().get().get(name);
        topic.partitions().forEach(each ->
            output.println("partition index=" + each.partition() + " leader=" + each.leader().id()));
    }

    private void listConfigResources() throws Exception {
        Object result = Admin.class.getMethod("listConfigResources").invoke(admin);
        for (Object each : (Collection<?>) all(result).get()) {
            ConfigResource found = (ConfigResource) each;
            output.println("resource kind=" + found.type().name().toLowerCase(java.util.Locale.ROOT)
                + " name=" + ClientProbe.encode(found.name()));
        }
    }

    private void count(int found) {
        output.println("count count=" + found);
    }

    private ConfigResource resource() {
        ConfigResource.Type type = command.text("kind").equals("topic")
            ? ConfigResource.Type.TOPIC
            : ConfigResource.Type.BROKER;
        return new ConfigResource(type, command.text("name"));
    }

    private Collection<Integer> nodes() throws Exception {
        return admin.describeCluster().nodes().get().stream().map(node -> node.id()).toList();
    }

    private static KafkaFuture<?> all(Object result) throws Exception {
        return (KafkaFuture<?>) result.getClass().getMethod("all").invoke(result);
    }
}
