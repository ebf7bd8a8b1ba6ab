// SPDX-License-Identifier: Apache-2.0
// Writes COUNT random files DIR/N.properties, and to DIR/N.expected what java.util.Properties reads from each:
// sorted lines KEY=VALUE in hexadecimal UTF-8, or the line "error".
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Properties;
import java.util.Random;
import java.util.TreeSet;

public class PropertiesOracle {
    // What the grammar cares about comes often; the rest is what zoo.cfg looks like.
    static final String[] PIECES = {" ", "\t", "\f", "\\", "\\", "\\\n", "\\\r\n", "\\\r", "\n", "\n", "\r\n", "\r", "=", ":", "#", "!",
        "a", "b", "u", "0", "4", "1", "e", "\u00e9", "\u00ff", "\u00a0", "\\u00e4", "\\u20AC", "\\ud83d\\ude00", "\\u00g1", "\\t", "\\n",
        "\\:", "\\ ", "key", "server.1=h:2888:3888", "dataDir=/var/lib\n"};

    static byte[] generate(Random random) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (int n = random.nextInt(40); n > 0; n--)
            out.writeBytes(PIECES[random.nextInt(PIECES.length)].getBytes(StandardCharsets.ISO_8859_1));
        return out.toByteArray();
    }

    static String hex(String text) {
        return HexFormat.of().formatHex(text.getBytes(StandardCharsets.UTF_8));
    }

    // Texts that C and UTF-8 cannot hold are refused by our reader, even where a later value replaces them.
    static class HeldProperties extends Properties {
        static boolean isHeld(Object text) {
            return ((String) text).indexOf(0) < 0 && StandardCharsets.UTF_16.newEncoder().canEncode((String) text);
        }

        @Override
        public Object put(Object key, Object value) {
            if (!isHeld(key) || !isHeld(value))
                throw new IllegalArgumentException();
            return super.put(key, value);
        }
    }

    static String expected(byte[] file) throws Exception {
        Properties properties = new HeldProperties();
        TreeSet<String> lines = new TreeSet<>();
        try {
            properties.load(new ByteArrayInputStream(file));
        } catch (IllegalArgumentException e) {
            return "error\n";
        }
        for (String key : properties.stringPropertyNames())
            lines.add(hex(key) + "=" + hex(properties.getProperty(key)) + "\n");
        return String.join("", lines);
    }

    public static void main(String[] args) throws Exception {
        Random random = new Random(Long.parseLong(args[2]));
        for (int i = 0; i < Integer.parseInt(args[1]); i++) {
            byte[] file = generate(random);
            Files.write(Path.of(args[0], i + ".properties"), file);
            Files.writeString(Path.of(args[0], i + ".expected"), expected(file));
        }
    }
}
