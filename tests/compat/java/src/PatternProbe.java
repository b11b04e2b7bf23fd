import java.time.Duration;
import java.util.Properties;
import java.util.TreeSet;

import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A consumer of the KIP-848 protocol that subscribes by patterns which the broker resolves.
 *
 * Arguments: bootstrap, assignor, then patterns. Each pattern is subscribed to in a group of its own until some
 * partitions are assigned, or the broker refuses it, or twelve seconds are over. One line for each: the
 * partitions in order, or "refused" and the error.
 */
public final class PatternProbe {
    private PatternProbe() {
    }

    public static void main(String[] args) {
        for (int index = 2; index < args.length; index++) {
            System.out.println(assignment(args[0], args[1], "pattern-" + index, args[index]));
        }
    }

    private static String assignment(String bootstrap, String assignor, String group, String pattern) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("group.id", group);
        properties.put("group.protocol", "consumer");
        properties.put("group.remote.assignor", assignor);
        properties.put("key.deserializer", ByteArrayDeserializer.class.getName());
        properties.put("value.deserializer", ByteArrayDeserializer.class.getName());
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(properties)) {
            consumer.subscribe(new SubscriptionPattern(pattern));
            // A pattern may be resolved a heartbeat (5 s) after it was taken, as Kafka does.
            long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
            while (consumer.assignment().isEmpty() && System.nanoTime() < deadline) {
                consumer.poll(Duration.ofMillis(50));
            }
            TreeSet<String> partitions = new TreeSet<>();
            for (TopicPartition partition : consumer.assignment()) {
                partitions.add(partition.toString());
            }
            return String.join(" ", partitions);
        } catch (KafkaException refusal) {
            return "refused " + refusal.getClass().getSimpleName() + " " + refusal.getMessage();
        }
    }
}
