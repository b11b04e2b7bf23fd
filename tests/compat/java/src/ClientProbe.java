import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The Java clients as a line-driven program, so that one JVM serves a whole test session.
 *
 * A command is one line, `name key=value key=value`; values are URL-encoded, bytes are hex, "-" is null.
 * Arguments that start with `config.` go to the client as they are. `produce` and `create` are followed by as
 * many item lines as their `count` says. The answer is any number of item lines, then `ok` or
 * `error NAME MESSAGE`. tests/support/clients/java.py is the other side.
 *
 * It uses only kafka-clients, and only calls that 3.9 has too. Administration beyond topics is in
 * AdminCalls, what is about transactions in TransactionCalls.
 */
public final class ClientProbe {
    private static final HexFormat HEX = HexFormat.of();
    private static final Duration CALL_TIMEOUT = Duration.ofSeconds(30);

    private final BufferedReader input;
    private final PrintStream output;
    private final TransactionCalls transactions = new TransactionCalls();

    private ClientProbe(BufferedReader input, PrintStream output) {
        this.input = input;
        this.output = output;
    }

    public static void main(String[] args) throws IOException {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream output = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        new ClientProbe(input, output).serve();
    }

    private void serve() throws IOException {
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            Command command = Command.parse(line);
            List<Command> items = new ArrayList<>();
            for (long left = command.number("items", 0); left > 0; left--) {
                items.add(Command.parse(input.readLine()));
            }
            try {
                run(command, items);
                output.println("ok");
            } catch (Exception failure) {
                Throwable cause = failure instanceof ExecutionException ? failure.getCause() : failure;
                output.println("error " + nameOf(cause) + " " + encode(cause.toString()));
            }
            output.flush();
        }
    }

    private void run(Command command, List<Command> items) throws Exception {
        switch (command.name()) {
            case "produce" -> produce(command, items);
            case "consume" -> consume(command);
            case "offsets" -> offsets(command);
            case "create" -> createTopic(command);
            case "delete" -> deleteTopic(command);
            case "describe" -> describeTopic(command);
            case "list" -> listTopics(command);
            case "cluster" -> describeCluster(command);
            default -> {
                if (command.name().startsWith("txn-")) {
                    transactions.run(command);
                } else {
                    administer(command);
                }
            }
        }
    }

    private void administer(Command command) throws Exception {
        try (Admin admin = Admin.create(command.clientProperties())) {
            new AdminCalls(admin, command, output).run();
        }
    }

    private void produce(Command command, List<Command> items) throws Exception {
        Properties properties = command.clientProperties();
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (var producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (Command item : items) {
                var record = new ProducerRecord<>(
                    command.text("topic"),
                    (int) command.number("partition", 0),
                    item.text("timestamp") == null ? null : item.number("timestamp", 0),
                    item.bytes("key"),
                    item.bytes("value"));
                for (String header : item.list("headers")) {
                    int split = header.indexOf(':');
                    record.headers().add(decode(header.substring(0, split)), hex(header.substring(split + 1)));
                }
                sent.add(producer.send(record));
            }
            producer.flush();
        }
        for (Future<RecordMetadata> future : sent) {
            RecordMetadata metadata = future.get(1, TimeUnit.SECONDS);
            long offset = metadata.hasOffset() ? metadata.offset() : -1;
            output.println("sent offset=" + offset + " timestamp=" + metadata.timestamp());
        }
    }

    private void consume(Command command) {
        List<TopicPartition> partitions = command.topicPartitions();
        long wanted = command.number("count", 0);
        long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(command.number("timeout_ms", 15_000));
        try (var consumer = consumer(command)) {
            consumer.assign(partitions);
            seek(consumer, partitions, command);
            long seen = 0;
            while (seen < wanted && System.nanoTime() < deadline) {
                for (var record : consumer.poll(Duration.ofMillis(200))) {
                    printRecord(record);
                    seen++;
                }
            }
        }
    }

    private static void seek(
            KafkaConsumer<byte[], byte[]> consumer, List<TopicPartition> partitions, Command command) {
        switch (command.text("from")) {
            case "earliest" -> consumer.seekToBeginning(partitions);
            case "latest" -> consumer.seekToEnd(partitions);
            case "offset" -> partitions.forEach(each -> consumer.seek(each, command.number("offset", 0)));
            case "timestamp" -> partitions.forEach(each -> seekToTime(consumer, each, command));
            default -> { } // "reset": no position, so auto.offset.reset decides
        }
    }

    private static void seekToTime(
            KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition, Command command) {
        OffsetAndTimestamp found = consumer
            .offsetsForTimes(Map.of(partition, command.number("timestamp", 0))).get(partition);
        if (found == null) {
            consumer.seekToEnd(List.of(partition));
        } else {
            consumer.seek(partition, found.offset());
        }
    }

    private void printRecord(ConsumerRecord<byte[], byte[]> record) {
        StringBuilder headers = new StringBuilder();
        for (Header header : record.headers()) {
            headers.append(headers.length() == 0 ? "" : ",")
                .append(encode(header.key())).append(':').append(hex(header.value()));
        }
        output.println("record partition=" + record.partition()
            + " offset=" + record.offset()
            + " timestamp=" + record.timestamp()
            + " timestamp_type=" + record.timestampType()
            + " leader_epoch=" + record.leaderEpoch().map(String::valueOf).orElse("-")
            + " key=" + hex(record.key())
            + " value=" + hex(record.value())
            + (headers.length() == 0 ? "" : " headers=" + headers));
    }

    private void offsets(Command command) {
        TopicPartition partition = command.topicPartition();
        try (var consumer = consumer(command)) {
            long beginning = consumer.beginningOffsets(List.of(partition)).get(partition);
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            output.println("range beginning=" + beginning + " end=" + end);
            if (command.text("timestamp") != null) {
                OffsetAndTimestamp found = consumer
                    .offsetsForTimes(Map.of(partition, command.number("timestamp", 0))).get(partition);
                output.println(found == null
                    ? "time offset=-1 timestamp=-1"
                    : "time offset=" + found.offset() + " timestamp=" + found.timestamp());
            }
        }
    }

    private static KafkaConsumer<byte[], byte[]> consumer(Command command) {
        Properties properties = command.clientProperties();
        properties.putIfAbsent("enable.auto.commit", "false");
        return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private void createTopic(Command command) throws Exception {
        NewTopic topic = new NewTopic(
            command.text("topic"),
            (int) command.number("partitions", 1),
            (short) command.number("replication_factor", 1));
        topic.configs(command.prefixed("topic."));
        try (Admin admin = Admin.create(command.clientProperties())) {
            var created = admin.createTopics(List.of(topic));
            created.all().get();
            output.println("created id=" + created.topicId(command.text("topic")).get()
                + " partitions=" + created.numPartitions(command.text("topic")).get());
        }
    }

    private void deleteTopic(Command command) throws Exception {
        try (Admin admin = Admin.create(command.clientProperties())) {
            admin.deleteTopics(List.of(command.text("topic"))).all().get();
        }
    }

    private void describeTopic(Command command) throws Exception {
        String name = command.text("topic");
        try (Admin admin = Admin.create(command.clientProperties())) {
            TopicDescription topic = admin.describeTopics(List.of(name)).allTopicNames().get().get(name);
            output.println("topic name=" + encode(topic.name()) + " id=" + topic.topicId()
                + " internal=" + topic.isInternal());
            for (TopicPartitionInfo partition : topic.partitions()) {
                output.println("partition index=" + partition.partition() + " leader=" + partition.leader().id()
                    + " replicas=" + ids(partition.replicas()) + " isr=" + ids(partition.isr()));
            }
        }
    }

    private void listTopics(Command command) throws Exception {
        try (Admin admin = Admin.create(command.clientProperties())) {
            for (String name : admin.listTopics().names().get()) {
                output.println("topic name=" + encode(name));
            }
        }
    }

    private void describeCluster(Command command) throws Exception {
        try (Admin admin = Admin.create(command.clientProperties())) {
            DescribeClusterResult cluster = admin.describeCluster();
            output.println("cluster id=" + encode(cluster.clusterId().get())
                + " controller=" + cluster.controller().get().id());
            for (Node node : cluster.nodes().get()) {
                output.println("node id=" + node.id() + " host=" + encode(node.host()) + " port=" + node.port());
            }
        }
    }

    /** The name of Kafka's error, or of the class where that is none. */
    private static String nameOf(Throwable failure) {
        Errors error = Errors.forException(failure);
        return error == Errors.UNKNOWN_SERVER_ERROR ? failure.getClass().getSimpleName() : error.name();
    }

    private static String ids(List<Node> nodes) {
        return String.join(",", nodes.stream().map(node -> String.valueOf(node.id())).toList());
    }

    private static String hex(byte[] bytes) {
        return bytes == null ? "-" : HEX.formatHex(bytes);
    }

    static byte[] hex(String text) {
        return text == null || text.equals("-") ? null : HEX.parseHex(text);
    }

    static String encode(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8);
    }

    private static String decode(String text) {
        return URLDecoder.decode(text, StandardCharsets.UTF_8);
    }

    record Command(String name, Map<String, String> fields) {
        static Command parse(String line) {
            String[] words = line.split(" ");
            Map<String, String> fields = new LinkedHashMap<>();
            for (int index = 1; index < words.length; index++) {
                int split = words[index].indexOf('=');
                fields.put(words[index].substring(0, split), words[index].substring(split + 1));
            }
            return new Command(words[0], fields);
        }

        /** Null where the field is missing or "-". */
        String text(String key) {
            String value = fields.get(key);
            return value == null || value.equals("-") ? null : decode(value);
        }

        long number(String key, long otherwise) {
            String value = text(key);
            return value == null ? otherwise : Long.parseLong(value);
        }

        byte[] bytes(String key) {
            return hex(fields.get(key));
        }

        List<String> list(String key) {
            String value = fields.get(key);
            return value == null || value.isEmpty() ? List.of() : List.of(value.replace("%2C", ",").split(","));
        }

        TopicPartition topicPartition() {
            return new TopicPartition(text("topic"), (int) number("partition", 0));
        }

        List<TopicPartition> topicPartitions() {
            return list("partitions").stream()
                .map(index -> new TopicPartition(text("topic"), Integer.parseInt(index))).toList();
        }

        Map<String, String> prefixed(String prefix) {
            Map<String, String> found = new LinkedHashMap<>();
            for (String key : fields.keySet()) {
                if (key.startsWith(prefix)) {
                    found.put(key.substring(prefix.length()), text(key));
                }
            }
            return found;
        }

        Properties clientProperties() {
            Properties properties = new Properties();
            properties.put("bootstrap.servers", text("bootstrap"));
            properties.put("default.api.timeout.ms", String.valueOf(CALL_TIMEOUT.toMillis()));
            properties.put("max.block.ms", String.valueOf(CALL_TIMEOUT.toMillis()));
            properties.putAll(prefixed("config."));
            return properties;
        }
    }
}
