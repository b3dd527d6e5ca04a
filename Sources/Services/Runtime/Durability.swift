import Redis

/// How safe an acknowledged effect is, as whoever asked for it said: with Redis's own persistence, at a replica as well, or
/// on disk.
public enum Durability: String, Sendable, CaseIterable {
    case memory, replicated, fsync

    /// Waits until what has been written in a key's slot is as safe as this.
    /// - Parameter marker: a key of that slot, which is written for a minute.
    /// - Throws: `unavailable` when it is not in time; the effect then stands all the same.
    public func confirm(marker: String, in context: ServiceContext) async throws {
        if self == .memory { return }
        if self == .fsync, try await Durability.syncsAlways(context, marker) { return }
        let command = self == .fsync ? ["WAITAOF", "1", "0", "1000"] : ["WAIT", "1", "1000"]
        let reply = try await context.redis.transaction(key: marker, budgetUs: 3_000_000) { connection in
            // WAIT speaks of the connection's own writes, so it makes one behind those it is asked about.
            _ = try await connection.send(["SET", marker, "1", "PX", "60000"])
            return try await connection.send(command)
        }
        let first = if case .array(let elements) = reply { elements.first ?? .null } else { reply }
        guard let count = first.int, count >= 1 else {
            throw Problem(.unavailable, "it is stored, but not yet as safe as asked for; it may stand", retryAfterS: 1)
        }
    }

    /// Refuses what this Redis has no means for, before anything is written.
    public func check(marker: String, in context: ServiceContext) async throws {
        guard self == .fsync, try await !Durability.syncsAlways(context, marker) else { return }
        let version = (context.redis.serverInfo["redis_version"] ?? "").split(separator: ".").map { Int($0) ?? 0 }
        let canWait = version.count >= 2 && version[0] * 100 + version[1] >= 702
        guard canWait, try await Durability.settings(context, marker)["appendonly"] == "yes" else {
            throw Problem.impossible(
                "durability", "needs a Redis that appends to a file: 7.2 or newer, or one with appendfsync always")
        }
    }

    private static func syncsAlways(_ context: ServiceContext, _ key: String) async throws -> Bool {
        try await settings(context, key) == ["appendfsync": "always", "appendonly": "yes"]
    }

    private static func settings(_ context: ServiceContext, _ key: String) async throws -> [String: String] {
        let reply = try await context.redis.send(
            ["CONFIG", "GET", "appendfsync", "appendonly"], key: key, budgetUs: 2_000_000)
        let words = reply.strings ?? []
        var settings: [String: String] = [:]
        for i in stride(from: 0, to: words.count - 1, by: 2) { settings[words[i]] = words[i + 1] }
        return settings
    }
}
