extension Setting {
    /// What the job scheduler is told; it reads the values itself.
    static let jobs: [Setting] = [
        Setting(
            name: "with-worker", value: nil, help: "serve also runs jobs",
            read: { (text, settings) throws(ConfigurationError) in
                settings.serviceSettings["work"] = try flag(text) ? "true" : nil
            }, show: { String($0.serviceSettings["work"] == "true") }),
        Setting(
            name: "concurrency", value: "N", help: "how many jobs a worker runs at once, over its loops (default 20)",
            read: { (text, settings) throws(ConfigurationError) in
                settings.serviceSettings["concurrency"] = String(try integer(text, 1...10_000))
            }, show: { $0.serviceSettings["concurrency"] ?? "20" }),
        passed("types", "TYPE,…", "types of jobs that a worker takes (default: all it knows)"),
        passed("queues", "NAME,…", "queues that a worker serves (default: all there are)"),
        Setting(
            name: "work-grace", value: "MS",
            help: "how long jobs in flight may take at the end before they are handed back (default 25000)",
            read: { (text, settings) throws(ConfigurationError) in
                settings.serviceSettings["work-grace"] = String(try integer(text, 0...600_000))
            }, show: { $0.serviceSettings["work-grace"] ?? "25000" }),
        Setting(
            name: "allow-crash", value: nil, help: "simulated jobs may end their worker's process: for trials",
            read: { (text, settings) throws(ConfigurationError) in
                settings.serviceSettings["allow-crash"] = try flag(text) ? "true" : nil
            }, show: { String($0.serviceSettings["allow-crash"] == "true") }),
        passed("command-directory", "DIR", "programs that command jobs may run (default: none)"),
        passed("cleanup-root", "DIR", "below it file_cleanup jobs may delete (default: nowhere)"),
        passed("data-root", "DIR", "below it data_processing jobs may read files (default: nowhere)"),
    ]

    /// A setting that is text to us.
    private static func passed(_ name: String, _ value: String, _ help: String) -> Setting {
        Setting(
            name: name, value: value, help: help,
            read: { (text, settings) throws(ConfigurationError) in settings.serviceSettings[name] = text },
            show: { $0.serviceSettings[name] ?? "" })
    }
}
