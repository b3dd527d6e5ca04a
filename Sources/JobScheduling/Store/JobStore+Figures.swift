import Redis

extension JobStore {
    /// The figures of one queue as they are now.
    func figures(_ queue: QueueName) async throws -> QueueFigures {
        let words = try await context.redis.run(
            JobScripts.figures, keys: [keys.base(queue)], arguments: [""], budgetUs: JobStore.budgetUs
        ).words
        guard let figures = QueueFigures(queue, words) else { throw RedisError.unexpectedReply("figures") }
        return figures
    }

    /// Batches that were begun, not completed, and are past their time.
    func unsealedBatches(_ queue: QueueName) async throws -> [String] {
        let time = try await context.redis.send(["TIME"], key: keys.queues, budgetUs: JobStore.budgetUs).strings ?? []
        guard let seconds = time.first else { return [] }
        let key = keys.base(queue) + "unsealed"
        let reply = try await context.redis.send(
            ["ZRANGEBYSCORE", key, "-inf", seconds + "000", "LIMIT", "0", "100"], key: key, budgetUs: JobStore.budgetUs)
        return reply.strings ?? []
    }
}
