import Redis

/// Everything a mixed run needs. Times in microseconds.
struct MixedOptions: Equatable {
    let target: Target
    /// Where what was done is looked for afterwards; nil: it is not.
    var redis: RedisConfiguration?
    var mix = Mix()
    /// Requests per second, their ends of reservations not counted.
    var rate = 500
    var connections = 64
    var durationUs: Int64 = 10_000_000
    /// How long the last outcomes are waited for, and how long a check of Redis waits until all has come to rest.
    var graceUs: Int64 = 30_000_000
    /// How long one try is waited for.
    var timeoutUs: Int64 = 10_000_000
    /// How often a request is tried at most.
    var attempts = 40
    var seed: UInt64 = 1
    var queues = 4
    var products = 16
    /// Of each limited rule; nil: as many as make each be asked about twice as often as it may.
    var identifiers: Int?
    var isReplicated = false
    var prefix = "qm:"
    var token: String?
    var timetable = Timetable.none
    /// The fleet's folder, and the program that does things to it.
    var directory: String?
    var fleetProgram = "deploy/fleet"
    /// Names the run's queues and products; nil: by the time.
    var run: String?
    var json: String?
    var svg: String?
    var record: String?
    /// How often processes are looked at; nil: never.
    var watchUs: Int64?

    init(target: Target) { self.target = target }
}

/// Looks at Redis by the record of an earlier run.
struct CheckOptions: Equatable {
    var redis: RedisConfiguration
    var record: String
    var settleUs: Int64 = 30_000_000
    var json: String?
}

/// Many connections that do nothing, beside a few that do.
struct IdleOptions: Equatable {
    let target: Target
    var idle = 10_000
    var active = 100
    var rate = 2000
    var durationUs: Int64 = 5_000_000
    var token: String?
    var serverPID: Int?
}

extension Command {
    static let fleetHelp = """
          LoadTest mixed --url URL [--redis URL]      checks, jobs and reservations through a load balancer, with faults
          LoadTest soak --url URL --minutes N         the same for long, with an eye on memory and descriptors
          LoadTest check --redis URL --record FILE    proves by Redis that what a mixed run was told is so
          LoadTest idle --url URL                     what many idle connections cost the active ones

        mixed and soak take:
          --mix C/J/R       checks, jobs and reservations of a hundred (80/15/5)
          --rate R          requests a second, open loop (500)      --duration S     seconds (10; soak: --minutes N)
          --connections N   keep-alive connections (64)             --seed N         order of the requests (1)
          --queues N, --skus N, --identifiers N                     how many of each (4, 16, by the rate)
          --run NAME        queues are fleet-NAME-0…, products FLEET-NAME-0… (by the time)
          --redis URL       judge the conservation laws afterwards  --prefix P       of Redis's keys (qm:)
          --durability D    memory or replicated: nothing acknowledged may be lost
          --faults "5s kill server-1; 8s start server-1"            by deploy/fleet, whose --dir is needed, and whose
                            path is --fleet (deploy/fleet); times are from the start of the measurement
          --grace S         wait so long for the last outcomes (30) --timeout S      for one try (10)
          --json FILE  --svg FILE  --record FILE                    results, latency over time, what clients were told
          --token T

        idle takes --idle N (10000), --active N (100), --rate R (2000), --duration S (5), --server-pid P, --token T.

        """

    static func parseMixed(_ arguments: ArraySlice<String>, isSoak: Bool) throws(UsageError) -> MixedOptions {
        var flags = try Flags(arguments, switches: [])
        var options = MixedOptions(target: try flags.target())
        options.redis = try flags.redisIfGiven()
        if let text = flags.text("--mix") {
            guard let mix = Mix(text) else {
                throw UsageError(description: "--mix is three shares of a hundred such as 80/15/5, not \(text)")
            }
            options.mix = mix
        }
        options.rate = try flags.integer("--rate", 1...100_000) ?? options.rate
        options.connections = try flags.integer("--connections", 1...10_000) ?? options.connections
        if isSoak {
            options.durationUs = (try flags.secondsAsUs("--minutes", 0.1...1440) ?? 10_000_000) * 60
            options.watchUs = 5_000_000
        } else {
            options.durationUs = try flags.secondsAsUs("--duration", 0.1...3600) ?? options.durationUs
        }
        options.graceUs = try flags.secondsAsUs("--grace", 0.1...300) ?? options.graceUs
        options.timeoutUs = try flags.secondsAsUs("--timeout", 0.1...60) ?? options.timeoutUs
        options.seed = UInt64(try flags.integer("--seed", 0...Int.max) ?? 1)
        options.queues = try flags.integer("--queues", 1...64) ?? options.queues
        options.products = try flags.integer("--skus", 1...1000) ?? options.products
        options.identifiers = try flags.integer("--identifiers", 1...1000)
        if let text = flags.text("--durability") {
            guard ["memory", "replicated"].contains(text) else {
                throw UsageError(description: "--durability is memory or replicated, not \(text)")
            }
            options.isReplicated = text == "replicated"
        }
        if let name = flags.text("--run") {
            guard (1...32).contains(name.utf8.count), name.utf8.allSatisfy({ $0 != 0x2D && Timetable.isOfName($0) })
            else {
                throw UsageError(description: "--run is a name of small letters and digits, not \(name)")
            }
            options.run = name
        }
        options.prefix = flags.text("--prefix") ?? options.prefix
        options.token = try flags.token()
        options.timetable = try Timetable.parse(flags.text("--faults") ?? "")
        options.directory = flags.text("--dir")
        options.fleetProgram = flags.text("--fleet") ?? options.fleetProgram
        (options.json, options.svg) = (flags.text("--json"), flags.text("--svg"))
        options.record = flags.text("--record")
        try flags.end()
        if options.directory == nil, isSoak || !options.timetable.entries.isEmpty {
            throw UsageError(description: "\(isSoak ? "soak" : "--faults") needs --dir, the folder of the fleet")
        }
        return options
    }

    static func parseCheck(_ arguments: ArraySlice<String>) throws(UsageError) -> CheckOptions {
        var flags = try Flags(arguments, switches: [])
        let redis = try flags.redis()
        guard let record = flags.text("--record") else { throw UsageError(description: "check needs --record") }
        var options = CheckOptions(redis: redis, record: record)
        options.settleUs = try flags.secondsAsUs("--grace", 0.1...300) ?? options.settleUs
        options.json = flags.text("--json")
        try flags.end()
        return options
    }

    static func parseIdle(_ arguments: ArraySlice<String>) throws(UsageError) -> IdleOptions {
        var flags = try Flags(arguments, switches: [])
        var options = IdleOptions(target: try flags.target())
        options.idle = try flags.integer("--idle", 1...28_000) ?? options.idle
        options.active = try flags.integer("--active", 1...10_000) ?? options.active
        options.rate = try flags.integer("--rate", 1...100_000) ?? options.rate
        options.durationUs = try flags.secondsAsUs("--duration", 0.1...600) ?? options.durationUs
        options.serverPID = try flags.integer("--server-pid", 1...Int(Int32.max))
        options.token = try flags.token()
        try flags.end()
        return options
    }
}
