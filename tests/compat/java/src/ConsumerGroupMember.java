import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Properties;
import java.util.TreeSet;

import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * One member of a group, that tells what happens to it on standard output until its input ends; then it leaves.
 *
 * Arguments: bootstrap, group, topic, then settings as name=value. Lines: "assigned PARTITIONS" with every change,
 * "got PARTITION OFFSET" for each record, committed before the next poll; "failed ERROR"; "left".
 */
public final class ConsumerGroupMember {
    private ConsumerGroupMember() {
    }

    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", args[0]);
        properties.put("group.id", args[1]);
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        properties.put("key.deserializer", ByteArrayDeserializer.class.getName());
        properties.put("value.deserializer", ByteArrayDeserializer.class.getName());
        for (int index = 3; index < args.length; index++) {
            int equals = args[index].indexOf('=');
            properties.put(args[index].substring(0, equals), args[index].substring(equals + 1));
        }
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(properties)) {
            consumer.subscribe(List.of(args[2]), new Listener(consumer));
            while (System.in.available() == 0) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(50))) {
                    System.out.println("got " + record.partition() + " " + record.offset());
                }
                try {
                    consumer.commitSync();
                } catch (RebalanceInProgressException | CommitFailedException lost) {
                    continue; // whoever gets the partition reads it again
                }
            }
        } catch (KafkaException failure) {
            System.out.println("failed " + failure.getClass().getSimpleName());
        }
        System.out.println("left");
    }

    private record Listener(KafkaConsumer<byte[], byte[]> consumer) implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            tell();
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            TreeSet<String> left = new TreeSet<>();
            for (TopicPartition partition : consumer.assignment()) {
                if (!partitions.contains(partition)) {
                    left.add(String.valueOf(partition.partition()));
                }
            }
            System.out.println("assigned " + String.join(",", left));
        }

        private void tell() {
            TreeSet<String> owned = new TreeSet<>();
            for (TopicPartition partition : consumer.assignment()) {
                owned.add(String.valueOf(partition.partition()));
            }
            System.out.println("assigned " + String.join(",", owned));
        }
    }
}
