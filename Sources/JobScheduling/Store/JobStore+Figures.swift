import Redis

extension JobStore {
    /// The figures of one queue as they are now.
    func figures(_ queue: QueueName) async throws -> QueueFigures {
        let words = try await context.redis.run(
            JobScripts.figures, keys: QueueKeys.ofScript(keys.base(queue)), arguments: [""], budgetUs: JobStore.budgetUs
        ).words
        guard let figures = QueueFigures(queue, words) else { throw RedisError.unexpectedReply("figures") }
        return figures
    }

    /// The time by the clock of the Redis that serves the queue, ms since the epoch.
    func nowMs(_ queue: QueueName) async throws -> Int {
        let reply = try await context.redis.send(["TIME"], key: keys.base(queue), budgetUs: JobStore.budgetUs)
        let parts = (reply.strings ?? []).compactMap { Int($0) }
        guard parts.count == 2 else { throw RedisError.unexpectedReply("TIME") }
        return parts[0] * 1000 + parts[1] / 1000
    }

    /// Batches that were begun, not completed, and are past their time.
    func unsealedBatches(_ queue: QueueName, nowMs: Int) async throws -> [String] {
        let key = keys.base(queue) + "unsealed"
        let reply = try await context.redis.send(
            ["ZRANGEBYSCORE", key, "-inf", String(nowMs), "LIMIT", "0", "100"], key: key, budgetUs: JobStore.budgetUs)
        return reply.strings ?? []
    }

    /// What upkeep is to do in a queue.
    struct Peek {
        enum Next { case now, atMs(Int), nothingKnown }

        var next: Next
        var hasUnsealedBatch: Bool
    }

    /// What upkeep is to do in each of the queues; several only where one Redis has them all.
    func peek(_ queues: [QueueName]) async throws -> (nowMs: Int, found: [Peek]) {
        let words = try await context.redis.run(
            JobScripts.peek, keys: queues.flatMap { QueueKeys.ofScript(keys.base($0)) }, arguments: [""],
            budgetUs: JobStore.budgetUs
        ).words
        guard words.count == 1 + 2 * queues.count, let nowMs = Int(words[0]) else {
            throw RedisError.unexpectedReply("peek")
        }
        let found = queues.indices.map { i in
            let word = words[1 + 2 * i]
            let ms = Int(word) ?? 0
            return Peek(
                next: word == "tick" ? .now : ms > 0 ? .atMs(ms) : .nothingKnown,
                hasUnsealedBatch: words[2 + 2 * i] == "unsealed")
        }
        return (nowMs, found)
    }
}
