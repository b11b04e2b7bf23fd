import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.coordinator.group.api.assignor.ConsumerGroupPartitionAssignor;
import org.apache.kafka.coordinator.group.api.assignor.GroupAssignment;
import org.apache.kafka.coordinator.group.api.assignor.SubscribedTopicDescriber;
import org.apache.kafka.coordinator.group.api.assignor.SubscriptionType;
import org.apache.kafka.coordinator.group.assignor.RangeAssignor;
import org.apache.kafka.coordinator.group.assignor.UniformAssignor;
import org.apache.kafka.coordinator.group.modern.Assignment;
import org.apache.kafka.coordinator.group.modern.GroupSpecImpl;
import org.apache.kafka.coordinator.group.modern.MemberSubscriptionAndAssignmentImpl;

/**
 * Kafka's server-side assignors as an oracle for ours.
 *
 * Standard input, one group a line:
 *   {"assignor": name, "counts": {topic: partitions},
 *    "members": [{"id", "instance" or null, "topics": [topic], "assigned": {topic: [partition]}}]}
 * Standard output, one line for each: {member: {topic: [partition]}}, where who is left out has nothing.
 *
 * Kafka keeps members in a hash map; here they stay in the order given, so that what depends on it can be compared.
 */
public final class AssignorOracle {
    private static final ObjectMapper JSON = new ObjectMapper();

    private AssignorOracle() {
    }

    public static void main(String[] args) throws IOException {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        StringBuilder output = new StringBuilder();
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            output.append(JSON.writeValueAsString(answer(JSON.readTree(line)))).append('\n');
        }
        System.out.print(output);
    }

    private static ObjectNode answer(JsonNode question) {
        Map<String, MemberSubscriptionAndAssignmentImpl> members = new LinkedHashMap<>();
        Map<Uuid, Map<Integer, String>> owners = new HashMap<>();
        Set<Set<Uuid>> subscriptions = new LinkedHashSet<>();
        for (JsonNode member : question.get("members")) {
            String id = member.get("id").asText();
            Set<Uuid> topics = new LinkedHashSet<>();
            member.get("topics").forEach(topic -> topics.add(Uuid.fromString(topic.asText())));
            Map<Uuid, Set<Integer>> assigned = new LinkedHashMap<>();
            member.get("assigned").fields().forEachRemaining(entry -> {
                Uuid topic = Uuid.fromString(entry.getKey());
                Set<Integer> partitions = assigned.computeIfAbsent(topic, none -> new TreeSet<>());
                for (JsonNode partition : entry.getValue()) {
                    partitions.add(partition.asInt());
                    owners.computeIfAbsent(topic, none -> new HashMap<>()).put(partition.asInt(), id);
                }
            });
            Optional<String> instance = Optional.ofNullable(member.get("instance").asText(null));
            subscriptions.add(topics);
            members.put(id, new MemberSubscriptionAndAssignmentImpl(
                Optional.empty(), instance, topics, new Assignment(assigned)));
        }
        Map<Uuid, Integer> counts = new HashMap<>();
        question.get("counts").fields().forEachRemaining(
            entry -> counts.put(Uuid.fromString(entry.getKey()), entry.getValue().asInt()));
        ConsumerGroupPartitionAssignor assignor =
            question.get("assignor").asText().equals("range") ? new RangeAssignor() : new UniformAssignor();
        SubscriptionType type =
            subscriptions.size() == 1 ? SubscriptionType.HOMOGENEOUS : SubscriptionType.HETEROGENEOUS;
        return write(assignor.assign(new GroupSpecImpl(members, type, owners), new Topics(counts)));
    }

    private static ObjectNode write(GroupAssignment assignment) {
        ObjectNode targets = JSON.createObjectNode();
        assignment.members().forEach((id, member) -> {
            ObjectNode topics = targets.putObject(id);
            member.partitions().forEach((topic, partitions) ->
                new TreeSet<>(partitions).forEach(topics.putArray(topic.toString())::add));
        });
        return targets;
    }

    private record Topics(Map<Uuid, Integer> counts) implements SubscribedTopicDescriber {
        @Override
        public int numPartitions(Uuid topicId) {
            return counts.getOrDefault(topicId, -1);
        }

        @Override
        public Set<String> racksForPartition(Uuid topicId, int partition) {
            throw new UnsupportedOperationException("no assignor asked for racks when this was written");
        }
    }
}
