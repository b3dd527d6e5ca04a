import Redis

/// Everything a run of the naive loop needs. Times in microseconds.
struct NaiveStockOptions: Equatable {
    let redis: RedisConfiguration
    var sku = Workload.identifier(0)
    var label = "naive-stock"
    /// How many transactions are tried at once, each on a connection of its own.
    var connections = 64
    var durationUs: Int64 = 5_000_000
    var warmUpUs: Int64 = 1_000_000
    /// How long the last reservations are tried for.
    var graceUs: Int64 = 10_000_000
    var maxRequests = 1_000_000_000
    var redisPID: Int?
    var printsJSON = false

    init(redis: RedisConfiguration) { self.redis = redis }
}

extension Command {
    static func parseNaiveStock(_ arguments: ArraySlice<String>) throws(UsageError) -> NaiveStockOptions {
        var flags = try Flags(arguments, switches: ["--json"])
        var options = NaiveStockOptions(redis: try flags.redis())
        options.sku = flags.text("--sku") ?? options.sku
        guard !options.sku.isEmpty, options.sku.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x7D }) else {
            throw UsageError(description: "--sku has only visible ASCII, and no }")
        }
        options.label = flags.text("--label") ?? options.label
        options.connections = try flags.integer("--connections", 1...1000) ?? options.connections
        options.durationUs = try flags.secondsAsUs("--duration", 0.1...600) ?? options.durationUs
        options.warmUpUs = try flags.secondsAsUs("--warm-up", 0...60) ?? options.warmUpUs
        options.graceUs = try flags.secondsAsUs("--grace", 0.1...60) ?? options.graceUs
        options.maxRequests = try flags.integer("--requests", 1...1_000_000_000) ?? options.maxRequests
        options.redisPID = try flags.integer("--redis-pid", 1...Int(Int32.max))
        options.printsJSON = flags.isOn("--json")
        try flags.end()
        return options
    }

    static func parseSetupStock(_ arguments: ArraySlice<String>) throws(UsageError) -> Command {
        var flags = try Flags(arguments, switches: [])
        let target = try flags.target()
        let token = try flags.token()
        let keys = try flags.integer("--keys", 1...1_000_000) ?? 1
        try flags.end()
        return .setupStock(target, token: token, keys: keys)
    }
}

extension Flags {
    mutating func redisIfGiven() throws(UsageError) -> RedisConfiguration? { has("--redis") ? try redis() : nil }

    /// A Redis of this machine: what is written there is a load, and no place for somebody's stock.
    mutating func redis() throws(UsageError) -> RedisConfiguration {
        guard let url = text("--redis") else { throw UsageError(description: "--redis is missing") }
        let configuration: RedisConfiguration
        do throws(RedisConfiguration.URLError) {
            configuration = try RedisConfiguration(url: url)
        } catch {
            throw UsageError(description: "--redis \(error)")
        }
        for case .tcp(let host, let port) in configuration.addresses {
            let name = host.contains(":") ? "[\(host)]" : host
            guard Target(url: "http://\(name):\(port)") != nil else {
                throw UsageError(description: "--redis is a socket or a loopback address, not \(host)")
            }
        }
        return configuration
    }
}
