import EventLoops
import Redis
import Services

/// How safe an acknowledged job is, as its creator asked.
enum Durable {
    /// Refuses what this Redis cannot promise, before anything is stored.
    static func check(_ durability: Durability, in store: JobStore) async throws {
        guard durability == .fsync, try await !syncsAlways(store) else { return }
        let parts = (store.context.redis.serverInfo["redis_version"] ?? "").split(separator: ".").map { Int($0) ?? 0 }
        let version = parts.count < 2 ? 0 : parts[0] * 100 + parts[1]
        guard version >= 702, try await appends(store) else {
            throw Problem.impossible(
                "durability", "needs a Redis that appends to a file: 7.2 or newer, or one with appendfsync always")
        }
    }

    /// Waits until what has been written is as safe as asked for.
    /// - Throws: `unavailable` when it is not in time; the job then exists all the same.
    static func confirm(_ durability: Durability, in store: JobStore, queue: QueueName) async throws {
        guard durability != .memory else { return }
        let key = store.keys.base(queue)
        if durability == .fsync, try await syncsAlways(store) { return }
        let command = durability == .fsync ? ["WAITAOF", "1", "0", "1000"] : ["WAIT", "1", "1000"]
        let words = try await store.context.redis.transaction(key: key, budgetUs: 3_000_000) { connection in
            // WAIT speaks of the connection's own writes, so it makes one behind those it is asked about.
            _ = try await connection.send(["SET", key + "durable", "1", "PX", "60000"])
            return try await connection.send(command).words
        }
        guard let count = words.first.flatMap({ Int($0) }), count >= 1 else {
            throw Problem(
                .unavailable, "the job is stored, but not yet as safe as asked for; it may stand", retryAfterS: 1)
        }
    }

    private static func syncsAlways(_ store: JobStore) async throws -> Bool {
        try await settings(store) == ["appendfsync": "always", "appendonly": "yes"]
    }

    private static func appends(_ store: JobStore) async throws -> Bool {
        try await settings(store)["appendonly"] == "yes"
    }

    private static func settings(_ store: JobStore) async throws -> [String: String] {
        let words = try await store.context.redis.send(
            ["CONFIG", "GET", "appendfsync", "appendonly"], key: store.keys.queues, budgetUs: JobStore.budgetUs
        ).words
        var settings: [String: String] = [:]
        for i in stride(from: 0, to: words.count - 1, by: 2) { settings[words[i]] = words[i + 1] }
        return settings
    }
}
