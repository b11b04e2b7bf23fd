import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.regex.Pattern;

import org.apache.kafka.common.utils.Exit;
import org.apache.kafka.tools.DumpLogSegments;

/**
 * Runs Kafka's DumpLogSegments over many files in one JVM and reports only what it found wrong.
 *
 * Standard input: one file path per line. Standard output, tab separated:
 *   problem  PATH  MESSAGE     one line of the tool's output that says something is wrong
 *   checked  FILES  BATCHES  RECORDS
 *
 * Logs are iterated deeply (every record is decompressed and parsed; internal topics with their own decoders),
 * offset and time indexes are checked for sanity and compared entry by entry with their log.
 */
public final class DumpCheck {
    /** Tool output that means damage; the rest of its standard output describes healthy files. */
    private static final Pattern DAMAGE = Pattern.compile(
        "isvalid: false|invalid bytes at the end|isValid: false|Unknown record type|Error at ");
    private static final Pattern BATCH = Pattern.compile("^baseOffset: ");
    private static final Pattern RECORD = Pattern.compile("^\\| offset: ");
    /** The tool starts counting at -1, so it reports the first record of every segment but the first. */
    private static final Pattern START_OF_SEGMENT = Pattern.compile("^\\s*-1 is followed by \\d+$");
    private static final Pattern GAP_HEADING = Pattern.compile("^Non-consecutive offsets in ");

    private final PrintStream report;
    private final List<String> problems = new ArrayList<>();
    private long batches;
    private long records;

    private DumpCheck(PrintStream report) {
        this.report = report;
    }

    public static void main(String[] args) throws Exception {
        PrintStream report = System.out;
        Exit.setExitProcedure((status, message) -> {
            throw new IllegalStateException("the tool asked to exit with " + status + ": " + message);
        });
        DumpCheck check = new DumpCheck(report);
        long files = 0;
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String path = input.readLine(); path != null; path = input.readLine()) {
            check.checkFile(path);
            files++;
        }
        report.println("checked\t" + files + "\t" + check.batches + "\t" + check.records);
        report.flush();
    }

    private void checkFile(String path) {
        if (path.endsWith(".index") || path.endsWith(".timeindex")) {
            dump(path, "--index-sanity-check");
            dump(path, "--verify-index-only");
        } else if (path.endsWith(".log") || path.endsWith(".checkpoint")) {
            dump(path, "--deep-iteration");
            String decoder = decoderFor(path);
            if (decoder != null) {
                dump(path, decoder);
            }
        } else {
            dump(path);
        }
    }

    private static String decoderFor(String path) {
        String directory = Path.of(path).toAbsolutePath().getParent().getFileName().toString();
        if (directory.startsWith("__cluster_metadata-")) {
            return "--cluster-metadata-decoder";
        }
        if (directory.startsWith("__consumer_offsets-")) {
            return "--offsets-decoder";
        }
        if (directory.startsWith("__transaction_state-")) {
            return "--transaction-log-decoder";
        }
        return null;
    }

    private void dump(String path, String... options) {
        List<String> arguments = new ArrayList<>(List.of(options));
        arguments.add("--files");
        arguments.add(path);
        problems.clear();
        PrintStream out = System.out;
        PrintStream err = System.err;
        try (PrintStream lines = lineStream(this::onOutput); PrintStream errors = lineStream(this::onError)) {
            System.setOut(lines);
            System.setErr(errors);
            DumpLogSegments.main(arguments.toArray(new String[0]));
        } catch (Throwable failure) {
            problems.add(failure.toString());
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
        dropHeadingWithoutGaps();
        for (String problem : problems) {
            report.println("problem\t" + path + "\t" + problem.replace('\n', ' ').replace('\t', ' '));
        }
    }

    private void onOutput(String line) {
        if (BATCH.matcher(line).find()) {
            batches++;
        } else if (RECORD.matcher(line).find()) {
            records++;
        }
        if (DAMAGE.matcher(line).find()) {
            problems.add(line);
        }
    }

    private void onError(String line) {
        if (!START_OF_SEGMENT.matcher(line).matches()) {
            problems.add(line);
        }
    }

    private void dropHeadingWithoutGaps() {
        if (problems.size() == 1 && GAP_HEADING.matcher(problems.get(0)).find()) {
            problems.clear();
        }
    }

    private static PrintStream lineStream(Consumer<String> consumer) {
        return new PrintStream(new LineStream(consumer), false, StandardCharsets.UTF_8);
    }

    /** Hands each complete line to a consumer, so that a dump of any size takes the memory of one line. */
    private static final class LineStream extends OutputStream {
        private final Consumer<String> consumer;
        private final java.io.ByteArrayOutputStream line = new java.io.ByteArrayOutputStream();

        LineStream(Consumer<String> consumer) {
            this.consumer = consumer;
        }

        @Override
        public void write(int value) {
            if (value == '\n') {
                consumer.accept(line.toString(StandardCharsets.UTF_8));
                line.reset();
            } else {
                line.write(value);
            }
        }

        @Override
        public void close() {
            if (line.size() > 0) {
                write('\n');
            }
        }
    }
}
