/// What `help` and `version` print.
enum Help {
    static let version = "quartermaster 0.1.0"

    static var text: String {
        let width = Setting.all.map { label($0).count }.max() ?? 0
        let settings = Setting.all.map { setting in
            "  " + label(setting) + String(repeating: " ", count: width - label(setting).count + 2) + setting.help
        }
        return """
            Quartermaster rations requests, assigns duties and keeps the stores, with all state in Redis.

            usage: quartermaster COMMAND [flags]

              serve          answer requests
              work           run jobs
              dev            everything in one process, with a Redis of its own
              rules apply FILE    bring a running service's rules to what a file says [--prune]
              rules export        print a running service's rules as such a file
              check-config   read the configuration, say what is wrong with it
              version        print the version
              help           print this

            Flags come before the environment, the environment before the file. --redis URL is also QM_REDIS in the
            environment and "redis" in the JSON file that --config FILE names. --print-config shows the outcome.

            \(settings.joined(separator: "\n"))

            rules apply and export: --url URL (default http://127.0.0.1:8080), token in QM_TOKEN.

            exit codes: 0 clean, 1 command failed, 64 usage, 69 Redis or port not available at start, 70 a bug,
            78 configuration
            """
    }

    private static func label(_ setting: Setting) -> String {
        "--" + setting.name + (setting.value.map { " " + $0 } ?? "")
    }
}
