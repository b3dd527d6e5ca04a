import EventLoops
import Redis
import Services

/// How safe an acknowledged job is, as its creator asked.
enum Durable {
    /// Waits until what has been written is as safe as asked for.
    /// - Throws: `unavailable` when it is not in time; the job then exists all the same.
    static func confirm(_ durability: Durability, in store: JobStore, queue: QueueName) async throws {
        guard durability != .memory else { return }
        let key = store.keys.base(queue)
        if durability == .fsync, try await !syncsAlways(store) {
            let major = store.context.redis.serverInfo["redis_version"].map {
                $0.split(separator: ".").map(String.init)
            }
            let version = (Int(major?.first ?? "0") ?? 0) * 100 + (Int(major?.dropFirst().first ?? "0") ?? 0)
            guard version >= 702 else {
                throw Problem.impossible("durability", "needs Redis 7.2, or appendfsync always")
            }
        }
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
        let reply = try await store.context.redis.send(
            ["CONFIG", "GET", "appendfsync", "appendonly"], key: store.keys.queues, budgetUs: JobStore.budgetUs)
        let words = reply.words
        return words.contains("always") && words.contains("yes")
    }
}
