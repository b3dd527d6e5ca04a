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
    func unsealedBatches(_ queue: QueueName) async throws -> [String] {
        let key = keys.base(queue) + "unsealed"
        let nowMs = try await nowMs(queue)
        let reply = try await context.redis.send(
            ["ZRANGEBYSCORE", key, "-inf", String(nowMs), "LIMIT", "0", "100"], key: key, budgetUs: JobStore.budgetUs)
        return reply.strings ?? []
    }
}
