import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Producers that stay from one command of ClientProbe to the next, each known by the `producer` that its commands name.
 *
 * `txn-open` makes one, with `config.` settings; `txn-init`, `txn-begin`, `txn-send` (waits for the acknowledgement),
 * `txn-offsets`, `txn-commit`, `txn-abort` and `txn-close` are the calls of the same names.
 */
final class TransactionCalls {
    private final Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();

    void run(ClientProbe.Command command) throws Exception {
        String name = command.text("producer");
        if (command.name().equals("txn-open")) {
            producers.put(name, new KafkaProducer<>(
                command.clientProperties(), new ByteArraySerializer(), new ByteArraySerializer()));
            return;
        }
        KafkaProducer<byte[], byte[]> producer = producers.get(name);
        switch (command.name()) {
            case "txn-init" -> producer.initTransactions();
            case "txn-begin" -> producer.beginTransaction();
            case "txn-send" -> send(producer, command);
            case "txn-offsets" -> sendOffsets(producer, command);
            case "txn-commit" -> producer.commitTransaction();
            case "txn-abort" -> producer.abortTransaction();
            case "txn-close" -> producers.remove(name).close(java.time.Duration.ofSeconds(5));
            default -> throw new IllegalArgumentException(command.name());
        }
    }

    private static void send(KafkaProducer<byte[], byte[]> producer, ClientProbe.Command command) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (String value : command.list("values")) {
            sent.add(producer.send(new ProducerRecord<>(
                command.text("topic"), (int) command.number("partition", 0), null, ClientProbe.hex(value))));
        }
        producer.flush();
        for (Future<RecordMetadata> future : sent) {
            future.get(1, TimeUnit.SECONDS);
        }
    }

    private static void sendOffsets(KafkaProducer<byte[], byte[]> producer, ClientProbe.Command command) {
        producer.sendOffsetsToTransaction(
            Map.of(
                new TopicPartition(command.text("topic"), (int) command.number("partition", 0)),
                new OffsetAndMetadata(command.number("offset", 0))),
            new ConsumerGroupMetadata(command.text("group")));
    }
}
