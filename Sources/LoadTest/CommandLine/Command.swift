/// What the command line asks for.
enum Command: Equatable {
    case help
    case setup(Target, token: String?)
    case setupStock(Target, token: String?, keys: Int)
    case run(RunOptions)
    case naiveStock(NaiveStockOptions)
    case table(files: [String], json: String?)
    case mixed(MixedOptions)
    case check(CheckOptions)
    case idle(IdleOptions)
}

/// Everything a run needs. Times in microseconds.
struct RunOptions: Equatable {
    let target: Target
    let workload: WorkloadName
    var label: String?
    var connections = 64
    var durationUs: Int64 = 5_000_000
    var warmUpUs: Int64 = 1_000_000
    /// How long connections, and at the end the last answers, are waited for.
    var graceUs: Int64 = 10_000_000
    /// Requests per second of the open loop; nil is the closed loop.
    var rate: Int?
    /// How many requests a connection may have under way.
    var pipeline = 1
    var keys = 10_000
    var seed: UInt64 = 1
    var maxRequests = 1_000_000_000
    /// Text whose occurrences in answers are counted.
    var countText: String?
    var path = "/"
    var token: String?
    var serverPID: Int?
    var redisPID: Int?
    var printsJSON = false

    init(target: Target, workload: WorkloadName) {
        self.target = target
        self.workload = workload
    }
}

/// Why a command line is refused, in words for whoever typed it.
struct UsageError: Error, Equatable, CustomStringConvertible {
    let description: String
}

extension Command {
    static let helpText = """
        LoadTest: drives a server of this machine and says what a request costs.

          LoadTest setup --url URL [--token T]        makes the rules that the workloads are judged by
          LoadTest setup-stock --url URL [--keys N]   makes a warehouse and N products (1) to reserve of
          LoadTest run --url URL --workload NAME      runs one workload and prints what was measured
          LoadTest naive-stock --redis URL            reserves straight in Redis, WATCH and try again, for comparison
          LoadTest table FILE… [--json FILE]          one aligned table of the JSON lines of many runs, medians per label
        \(fleetHelp)
        URL is http://127.0.0.1:PORT or another loopback address. NAME is one of
          \(WorkloadName.allCases.map(\.rawValue).joined(separator: ", ")).

        run takes:
          --connections N   keep-alive connections (64)          --duration S     seconds measured (5)
          --pipeline N      requests under way on each (1)       --warm-up S      seconds before that (1)
          --rate R          open loop: R requests a second, latency counted from the intended send time
          --keys N          different identifiers (10000)        --seed N         order of the keys (1)
          --requests N      stop after this many                 --path P         of workload plain (/)
          --count TEXT      count TEXT in the answers             --token T        bearer token
          --server-pid P    CPU per request and memory of P      --redis-pid P    the same of Redis
          --grace S         wait for the last answers (10)       --label L        name of the row in the table
          --json            one line of JSON

        naive-stock takes --sku, --connections (transactions at once), --duration, --warm-up, --grace, --requests,
        --redis-pid, --label and --json; its server is itself.

        Exit codes: 0 every answer was the expected one, 1 not so, 64 usage.

        """

    static func parse(_ arguments: [String]) throws(UsageError) -> Command {
        guard let verb = arguments.first else { return .help }
        switch verb {
        case "help", "--help", "-h": return .help
        case "setup":
            var flags = try Flags(arguments.dropFirst(), switches: [])
            let target = try flags.target()
            let token = try flags.token()
            try flags.end()
            return .setup(target, token: token)
        case "setup-stock": return try parseSetupStock(arguments.dropFirst())
        case "naive-stock": return .naiveStock(try parseNaiveStock(arguments.dropFirst()))
        case "table":
            var flags = try Flags(arguments.dropFirst(), switches: [])
            let json = flags.text("--json")
            let files = flags.takePlain()
            try flags.end()
            guard !files.isEmpty else { throw UsageError(description: "table needs at least one file") }
            return .table(files: files, json: json)
        case "run": return .run(try parseRun(arguments.dropFirst()))
        case "mixed": return .mixed(try parseMixed(arguments.dropFirst(), isSoak: false))
        case "soak": return .mixed(try parseMixed(arguments.dropFirst(), isSoak: true))
        case "check": return .check(try parseCheck(arguments.dropFirst()))
        case "idle": return .idle(try parseIdle(arguments.dropFirst()))
        default:
            throw UsageError(
                description:
                    "\(verb) is no command; there are setup, setup-stock, run, naive-stock, mixed, soak, check, idle, table and help"
            )
        }
    }

    private static func parseRun(_ arguments: ArraySlice<String>) throws(UsageError) -> RunOptions {
        var flags = try Flags(arguments, switches: ["--json"])
        let target = try flags.target()
        guard let text = flags.text("--workload") else { throw UsageError(description: "run needs --workload") }
        guard let workload = WorkloadName(rawValue: text) else {
            let names = WorkloadName.allCases.map(\.rawValue).joined(separator: ", ")
            throw UsageError(description: "\(text) is no workload; there are \(names)")
        }
        var options = RunOptions(target: target, workload: workload)
        options.label = flags.text("--label")
        options.connections = try flags.integer("--connections", 1...10_000) ?? options.connections
        options.durationUs = try flags.secondsAsUs("--duration", 0.1...600) ?? options.durationUs
        options.warmUpUs = try flags.secondsAsUs("--warm-up", 0...60) ?? options.warmUpUs
        options.graceUs = try flags.secondsAsUs("--grace", 0.1...60) ?? options.graceUs
        options.rate = try flags.integer("--rate", 1...1_000_000)
        options.pipeline = try flags.integer("--pipeline", 1...256) ?? options.pipeline
        options.keys = try flags.integer("--keys", 1...1_000_000) ?? options.keys
        options.seed = UInt64(try flags.integer("--seed", 0...Int.max) ?? 1)
        options.maxRequests = try flags.integer("--requests", 1...1_000_000_000) ?? options.maxRequests
        options.countText = flags.text("--count")
        options.path = flags.text("--path") ?? options.path
        guard options.path.hasPrefix("/"), options.path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw UsageError(description: "--path begins with / and has only visible ASCII")
        }
        options.token = try flags.token()
        options.serverPID = try flags.integer("--server-pid", 1...Int(Int32.max))
        options.redisPID = try flags.integer("--redis-pid", 1...Int(Int32.max))
        options.printsJSON = flags.isOn("--json")
        try flags.end()
        return options
    }
}
