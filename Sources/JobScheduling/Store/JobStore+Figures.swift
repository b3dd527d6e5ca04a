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
}
