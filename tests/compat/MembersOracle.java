// SPDX-License-Identifier: Apache-2.0
// Writes COUNT random configurations of ensembles DIR/N.members, and to DIR/N.expected what Apache ZooKeeper makes of
// each: "error", or its text, its dynamic file without and with the version, each between lines "=". Beside them
// DIR/N.cfg, a zoo.cfg, and DIR/N.edited, what it is once the members stand in DIR/zoo.cfg.dynamic.1f.
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Properties;
import java.util.Random;
import org.apache.zookeeper.server.quorum.QuorumPeerConfig;
import org.apache.zookeeper.server.quorum.flexible.QuorumVerifier;

public class MembersOracle {
    // Of server 255, which no other line has.
    static final String[] FAULTS = {"server.255=127.0.0.1", "server.255=127.0.0.1:1", "server.255=127.0.0.1:1:1", "server.x=127.0.0.1:1:2",
        "server.255=127.0.0.1:1:99999", "server.255=127.0.0.1:a:2", "server.255=127.0.0.1:1:2:boss",
        "server.255=127.0.0.1:1:2:observer:x", "server.255=[::1:1:2", "server.255=127.0.0.1:1:2;x", "server.255=127.0.0.1:1:2;1:2:3",
        "server.255=127.0.0.1:1:2|127.0.0.2:1:2", "server.255=fe80::1:1:2", "foo=3", "group.8=x", "group.8=1:1000", "group.9=",
        "weight.255=x"};

    static String address(Random r) {
        switch (r.nextInt(4)) {
        case 0:
            return "localhost";
        case 1:
            return r.nextInt(256) + "." + r.nextInt(256) + "." + r.nextInt(256) + "." + r.nextInt(256);
        case 2:
            return "[" + new String[] {"::1", "::", "2001:db8::", "::ffff:102:304", "fe80::A:0b", "1:2:3:4:5:6:7:8", "0:0:1::"}[r.nextInt(7)]
                + "]";
        default:
            List<String> groups = new ArrayList<>();
            for (int i = 0; i < 8; i++)
                groups.add(Integer.toHexString(r.nextInt(3) == 0 ? 0 : r.nextInt(65536)));
            return "[" + String.join(":", groups) + "]";
        }
    }

    static String server(Random r, int sid, boolean observer) {
        int port = 1 + r.nextInt(60000);
        String role = observer ? ":observer" : r.nextInt(2) == 0 ? "" : r.nextInt(4) == 0 ? ":PARTICIPANT" : ":participant";
        String client = r.nextInt(2) == 0 ? "" : ";" + (r.nextInt(2) == 0 ? "" : address(r) + ":") + (1 + r.nextInt(65535));
        return "server." + sid + (r.nextInt(5) == 0 ? " = " : "=") + address(r) + ":" + port + ":" + (port + 1 + r.nextInt(500)) + role + client;
    }

    // Numbers that no two share a place in a hash table of Java's: among those that do, any order is right.
    static List<Integer> sids(Random r) {
        List<Integer> low = new ArrayList<>(), sids = new ArrayList<>();
        for (int i = 0; i < 16; i++)
            low.add(i);
        Collections.shuffle(low, r);
        int count = 1 + r.nextInt(16);
        for (int i = 0; i < count; i++)
            sids.add(low.get(i) + (r.nextInt(3) == 0 ? 16 * r.nextInt(15) : 0));
        return sids;
    }

    static String members(Random r) {
        List<String> lines = new ArrayList<>();
        List<Integer> voters = new ArrayList<>();
        for (int sid : sids(r)) {
            boolean observer = r.nextInt(5) == 0;
            lines.add(server(r, sid, observer));
            if (!observer)
                voters.add(sid);
        }
        int groups = r.nextInt(3) == 0 ? 1 + r.nextInt(3) : 0;
        for (int g = 0; g < groups; g++) {
            List<String> of = new ArrayList<>();
            for (int i = g; i < voters.size(); i += groups)
                of.add(String.valueOf(voters.get(i)));
            if (!of.isEmpty())
                lines.add("group." + (g + 1) + "=" + String.join(":", of));
        }
        for (int sid : voters)
            if (groups > 0 && r.nextInt(3) == 0)
                lines.add("weight." + sid + "=" + (1 + r.nextInt(9)));
        if (r.nextInt(2) == 0)
            lines.add("version=" + Long.toHexString(r.nextLong() & Long.MAX_VALUE));
        if (r.nextInt(6) == 0)
            lines.add(FAULTS[r.nextInt(FAULTS.length)]);
        Collections.shuffle(lines, r);
        return String.join(r.nextInt(4) == 0 ? "\r\n" : "\n", lines) + (r.nextInt(2) == 0 ? "\n" : "");
    }

    static String dynamic(Path dir, QuorumVerifier verifier, boolean withVersion) throws Exception {
        Path file = dir.resolve("dynamic");
        QuorumPeerConfig.writeDynamicConfig(file.toString(), verifier, withVersion);
        return Files.readString(file);
    }

    static String expected(Path dir, String text) throws Exception {
        QuorumVerifier verifier;
        try {
            Properties properties = new Properties();
            properties.load(new StringReader(text));
            verifier = QuorumPeerConfig.parseDynamicConfig(properties, 3, false, false, null);
        } catch (Exception e) {
            return "error\n";
        }
        return verifier + "\n=\n" + dynamic(dir, verifier, false) + "\n=\n" + dynamic(dir, verifier, true) + "\n=\n";
    }

    // Without escapes: Apache ZooKeeper writes values back as it has read them.
    static String config(Random r) {
        List<String> lines = new ArrayList<>(List.of("tickTime=500", "dataDir : /d", "clientPort=5", "clientPortAddress = ::1",
            "peerType=observer", "server.1=a:1:2", "server.2:b:1:2", "group.1=1:2", "weight.1=2", "dynamicConfigFile=/old", "# server.1=x",
            "!", "", "initLimit", "  syncLimit 7"));
        Collections.shuffle(lines, r);
        return String.join(r.nextInt(4) == 0 ? "\r\n" : "\n", lines.subList(0, r.nextInt(lines.size() + 1)))
            + (r.nextInt(2) == 0 ? "\n" : "");
    }

    public static void main(String[] args) throws Exception {
        Path dir = Path.of(args[0]);
        Random random = new Random(Long.parseLong(args[2]));
        Files.writeString(dir.resolve("zoo.cfg.dynamic.1f"), ""); // it must be there
        QuorumPeerConfig.setStandaloneEnabled(false);
        for (int i = 0; i < Integer.parseInt(args[1]); i++) {
            String text = members(random), cfg = config(random);
            Path edited = dir.resolve(i + ".edited");
            Files.writeString(dir.resolve(i + ".members"), text);
            Files.writeString(dir.resolve(i + ".expected"), expected(dir, text));
            Files.writeString(dir.resolve(i + ".cfg"), cfg);
            Files.writeString(edited, cfg);
            QuorumPeerConfig.editStaticConfig(edited.toString(), dir.resolve("zoo.cfg.dynamic.1f").toString(), i % 2 == 1);
        }
    }
}
