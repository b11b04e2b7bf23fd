import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

/**
 * Kafka's own generated message classes as an oracle for ours.
 *
 * Standard input, one case a line: API key, "request" or "response", version, body in hex. Standard output, one line
 * for each: the body as Kafka writes what it read, in hex, or "error" and why it could not be read to its end.
 */
public final class MessageOracle {
    private static final HexFormat HEX = HexFormat.of();

    private MessageOracle() {
    }

    public static void main(String[] args) throws IOException {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        StringBuilder output = new StringBuilder();
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] words = line.split(" ", -1);
            try {
                ApiMessageType type = ApiMessageType.fromApiKey(Short.parseShort(words[0]));
                ApiMessage message = words[1].equals("request") ? type.newRequest() : type.newResponse();
                output.append(rewrite(message, Short.parseShort(words[2]), HEX.parseHex(words[3])));
            } catch (RuntimeException failure) {
                output.append("error ").append(failure.toString().replace('\n', ' '));
            }
            output.append('\n');
        }
        System.out.print(output);
    }

    private static String rewrite(ApiMessage message, short version, byte[] body) {
        ByteBuffer buffer = ByteBuffer.wrap(body);
        message.read(new ByteBufferAccessor(buffer), version);
        if (buffer.hasRemaining()) {
            return "error " + buffer.remaining() + " bytes were left";
        }
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer written = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(written), cache, version);
        return HEX.formatHex(written.array());
    }
}
