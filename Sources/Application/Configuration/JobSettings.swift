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
            name: "max-jobs-per-queue", value: "N",
            help: "jobs of a queue that have not ended; above it new ones are answered 429 (default 1000000)",
            read: { (text, settings) throws(ConfigurationError) in
                settings.serviceSettings["max-jobs-per-queue"] = String(try integer(text, 1...1_000_000_000))
            }, show: { $0.serviceSettings["max-jobs-per-queue"] ?? "1000000" }),
        Setting(
            name: "max-queues", value: "N", help: "queues; jobs of another one are answered 429 (default 1000)",
            read: { (text, settings) throws(ConfigurationError) in
                settings.serviceSettings["max-queues"] = String(try integer(text, 1...100_000))
            }, show: { $0.serviceSettings["max-queues"] ?? "1000" }),
        Setting(
            name: "allow-crash", value: nil, help: "simulated jobs may end their worker's process: for trials",
            read: { (text, settings) throws(ConfigurationError) in
                settings.serviceSettings["allow-crash"] = try flag(text) ? "true" : nil
            }, show: { String($0.serviceSettings["allow-crash"] == "true") }),
        passed("command-directory", "DIR", "programs that command jobs may run (default: none)"),
        passed("cleanup-root", "DIR", "below it file_cleanup jobs may delete (default: nowhere)"),
        passed("data-root", "DIR", "below it data_processing jobs may read files (default: nowhere)"),
    ]

    /// What the kinds of jobs are told that reach out.
    static let outgoing: [Setting] = [
        passed(
            "http-allowed-hosts", "HOST,…",
            "hosts that http jobs may call, *.example.com for those below (default: any)"),
        passed(
            "http-allow-private", "true|CIDR,…", "other than public addresses that http jobs may call (default: none)"),
        passed("webhook-secrets", "FILE", "secrets that sign http jobs, a line `name secret` each"),
        Setting(
            name: "smtp-url", value: "URL",
            help: "mail server: smtp://[user:password@]host[:port][?starttls=required|never], smtps://…",
            read: { (text, settings) throws(ConfigurationError) in settings.serviceSettings["smtp-url"] = text },
            show: { withoutPassword($0.serviceSettings["smtp-url"] ?? "") }),
        passed("smtp-from", "ADDRESS", "who email_sending jobs are from unless they say"),
    ]

    /// A URL without user and password; nothing of one that may be mistyped and show them.
    private static func withoutPassword(_ url: String) -> String {
        let scheme = url.firstRange(of: "://").map { url[..<$0.upperBound] } ?? ""
        let server = (url.lastIndex(of: "@").map { url[url.index(after: $0)...] } ?? url[...].dropFirst(scheme.count))
        let port = server.hasPrefix("[") ? server.drop { $0 != "]" } : server.drop { $0 != ":" }
        let isPlain = port.dropFirst().prefix { $0 != "?" }.allSatisfy { $0.isNumber || $0 == ":" }
        return isPlain ? String(scheme + server) : ""
    }

    /// A setting that is text to us.
    private static func passed(_ name: String, _ value: String, _ help: String) -> Setting {
        Setting(
            name: name, value: value, help: help,
            read: { (text, settings) throws(ConfigurationError) in settings.serviceSettings[name] = text },
            show: { $0.serviceSettings[name] ?? "" })
    }
}
