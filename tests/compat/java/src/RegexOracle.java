import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/**
 * The regular expressions of Kafka's group coordinator as an oracle for ours.
 *
 * Standard input, one case a line: {"pattern": pattern, "names": [name]}. Standard output, one line for each: the names
 * that it matches whole, as an array, or null where the pattern is not valid.
 */
public final class RegexOracle {
    private static final ObjectMapper JSON = new ObjectMapper();

    private RegexOracle() {
    }

    public static void main(String[] args) throws IOException {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        StringBuilder output = new StringBuilder();
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            output.append(answer(JSON.readTree(line))).append('\n');
        }
        System.out.print(output);
    }

    private static String answer(JsonNode question) {
        try {
            Pattern pattern = Pattern.compile(question.get("pattern").asText());
            ArrayNode matched = JSON.createArrayNode();
            for (JsonNode name : question.get("names")) {
                if (pattern.matcher(name.asText()).matches()) {
                    matched.add(name);
                }
            }
            return matched.toString();
        } catch (PatternSyntaxException invalid) {
            return "null";
        }
    }
}
