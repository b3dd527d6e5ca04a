/// What `help` and `version` print.
enum Help {
    static let version = "quartermaster 0.1.0"

    static var text: String {
        let settings = aligned(Setting.all.map { (label($0), $0.help) }, indent: 2)
        let commands = aligned(ServiceCommand.all.map { ($0.usage, $0.help) }, indent: 2)
        return """
            Quartermaster rations requests, assigns duties and keeps the stores, with all state in Redis.

            usage: quartermaster COMMAND [flags]

              serve          answer requests
              work           run jobs
              dev            everything in one process, with a Redis of its own
              check-config   read the configuration, say what is wrong with it
              version        print the version
              help           print this

            ask a running service, at --url URL (default http://127.0.0.1:8080, or QM_URL) with the token in QM_TOKEN:

            \(commands)

            --json prints the service's JSON instead of a table; --help after one of these shows its flags.

            Flags come before the environment, the environment before the file. --redis URL is also QM_REDIS in the
            environment and "redis" in the JSON file that --config FILE names. --print-config shows the outcome.

            \(settings)

            exit codes: 0 clean, 1 command failed, 64 usage, 69 Redis or port not available at start, 70 a bug,
            78 configuration
            """
    }

    /// Names and what is said of them, a line each, the latter in a column.
    static func aligned(_ lines: [(name: String, help: String)], indent: Int) -> String {
        let width = lines.map(\.name.count).max() ?? 0
        return lines.map { line in
            String(repeating: " ", count: indent) + line.name
                + String(repeating: " ", count: width - line.name.count + 2) + line.help
        }.joined(separator: "\n")
    }

    private static func label(_ setting: Setting) -> String {
        "--" + setting.name + (setting.value.map { " " + $0 } ?? "")
    }
}
