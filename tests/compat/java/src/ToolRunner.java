import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;

import org.apache.kafka.common.utils.Exit;

/**
 * Kafka's command line tools, one after the other in one JVM, each as if it had a process to itself.
 *
 * A command is a line of JSON: main (a class), arguments, input (what the tool reads from standard input),
 * timeout_ms. The answer is a line of JSON: exit, stdout, stderr; exit is null when the tool did not end in time,
 * and then this program ends. tests/support/kafka_tools.py is the other side.
 *
 * The tools' classes are Kafka's as they are in the jars. They are loaded anew for every command, so that their
 * static state is that of a new process; their shutdown hooks run when main has ended. Only tools that leave by
 * Kafka's own Exit can be run here: those that call System.exit need a process of their own.
 */
public final class ToolRunner {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String[] RELOADED = {"org.apache.kafka.tools.", "kafka."};

    private final Switch out = new Switch();
    private final Switch err = new Switch();
    private final List<Runnable> hooks = new ArrayList<>();
    private volatile Integer exit;

    private ToolRunner() {
    }

    public static void main(String[] args) throws IOException {
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        ToolRunner runner = new ToolRunner();
        runner.takeOverProcess();
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            ObjectNode answer = runner.run(JSON.readTree(line));
            answers.println(answer);
            if (answer.get("exit").isNull()) {
                Runtime.getRuntime().halt(1);
            }
        }
        Runtime.getRuntime().halt(0);
    }

    /** Before any tool is loaded: Scala's console and the logger keep the streams that they find first. */
    private void takeOverProcess() {
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
        Exit.setExitProcedure((status, message) -> ended(status));
        Exit.setHaltProcedure((status, message) -> ended(status));
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
    }

    /** A process would be gone now: what is written while the stack unwinds is not kept. */
    private void ended(int status) {
        if (exit == null) {
            exit = status;
            out.discard();
            err.discard();
        }
        throw new Ended();
    }

    private ObjectNode run(JsonNode command) {
        ByteArrayOutputStream stdout = out.capture();
        ByteArrayOutputStream stderr = err.capture();
        System.setIn(new ByteArrayInputStream(command.get("input").asText().getBytes(StandardCharsets.UTF_8)));
        exit = null;
        hooks.clear();
        Thread tool = new Thread(() -> runMain(command), "main");
        tool.setDaemon(true);
        tool.start();
        join(tool, command.get("timeout_ms").asLong());
        boolean inTime = !tool.isAlive();
        if (!inTime) {
            for (StackTraceElement frame : tool.getStackTrace()) {
                System.err.println("\tat " + frame);
            }
        }
        System.out.flush();
        System.err.flush();
        ObjectNode answer = JSON.createObjectNode();
        answer.put("exit", inTime ? (exit == null ? Integer.valueOf(0) : exit) : null);
        answer.put("stdout", stdout.toString(StandardCharsets.UTF_8));
        answer.put("stderr", stderr.toString(StandardCharsets.UTF_8));
        return answer;
    }

    private void runMain(JsonNode command) {
        List<String> arguments = new ArrayList<>();
        command.get("arguments").forEach(each -> arguments.add(each.asText()));
        ClassLoader loader = new ToolLoader(ToolRunner.class.getClassLoader());
        Thread.currentThread().setContextClassLoader(loader);
        try {
            Class<?> main = loader.loadClass(command.get("main").asText());
            main.getMethod("main", String[].class).invoke(null, (Object) arguments.toArray(new String[0]));
        } catch (InvocationTargetException failure) {
            if (!(failure.getCause() instanceof Ended)) {
                failure.getCause().printStackTrace();
                exit = 1;
            }
        } catch (ReflectiveOperationException failure) {
            failure.printStackTrace();
            exit = 1;
        }
        List.copyOf(hooks).forEach(Runnable::run);
    }

    private static void join(Thread thread, long timeoutMs) {
        try {
            TimeUnit.MILLISECONDS.timedJoin(thread, timeoutMs);
        } catch (InterruptedException unexpected) {
            throw new IllegalStateException(unexpected);
        }
    }

    /** Thrown where the process would have ended. */
    private static final class Ended extends Error {
        private static final long serialVersionUID = 1;
    }

    /** Loads the tools' classes itself, and asks its parent for everything else. */
    private static final class ToolLoader extends ClassLoader {
        ToolLoader(ClassLoader parent) {
            super(parent);
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            for (String prefix : RELOADED) {
                if (name.startsWith(prefix)) {
                    return loadAnew(name);
                }
            }
            return super.loadClass(name, resolve);
        }

        private Class<?> loadAnew(String name) throws ClassNotFoundException {
            synchronized (getClassLoadingLock(name)) {
                Class<?> loaded = findLoadedClass(name);
                if (loaded != null) {
                    return loaded;
                }
                try (InputStream source = getParent().getResourceAsStream(name.replace('.', '/') + ".class")) {
                    if (source == null) {
                        throw new ClassNotFoundException(name);
                    }
                    byte[] bytes = source.readAllBytes();
                    return defineClass(name, bytes, 0, bytes.length);
                } catch (IOException failure) {
                    throw new ClassNotFoundException(name, failure);
                }
            }
        }
    }

    /** A stream whose target changes with every command. */
    private static final class Switch extends OutputStream {
        private volatile OutputStream target = OutputStream.nullOutputStream();

        ByteArrayOutputStream capture() {
            ByteArrayOutputStream captured = new ByteArrayOutputStream();
            target = captured;
            return captured;
        }

        void discard() {
            target = OutputStream.nullOutputStream();
        }

        @Override
        public void write(int single) throws IOException {
            target.write(single);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            target.write(bytes, offset, length);
        }
    }
}
