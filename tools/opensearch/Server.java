import org.codelibs.opensearch.runner.OpenSearchRunner;

/** One OpenSearch node on the loopback interface: {@code java -cp 'lib/*' Server.java DIRECTORY PORT}. */
public class Server {
    public static void main(String[] arguments) throws Exception {
        String directory = arguments[0];
        String port = arguments[1];
        OpenSearchRunner runner = new OpenSearchRunner();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(runner)));
        runner.onBuild((number, settings) -> {
            settings.put("http.port", port);
            settings.put("network.host", "127.0.0.1");
            settings.put("discovery.type", "single-node");
            // A nearly full disk is no reason to refuse tests.
            settings.put("cluster.routing.allocation.disk.threshold_enabled", "false");
        });
        runner.build(OpenSearchRunner.newConfigs().basePath(directory).numOfNode(1));
        runner.ensureYellow();
        System.out.println("ready");
        // The starter's death closes our standard input: no server outlives it.
        while (System.in.read() >= 0) { }
        System.exit(0);
    }

    private static void close(OpenSearchRunner runner) {
        try {
            runner.close();
        } catch (Exception error) {
            System.err.println("OpenSearch did not close: " + error);
        }
    }
}
