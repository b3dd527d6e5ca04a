import Redis
import Services

/// Which body an Idempotency-Key was first used with, where the effects of the request may lie in several slots.
enum KeyClaims {
    private static let budgetUs: Int64 = 2_000_000

    /// Claims the key for its body, for 24 hours. A claim without an effect is simply carried on.
    /// - Throws: `impossible` when it was used with another body.
    static func claim(_ key: IdempotencyKey?, _ keys: StockKeys, _ redis: RedisClient) async throws {
        guard let key else { return }
        let name = keys.claim(key)
        let reply = try await redis.send(
            ["SET", name, key.record(status: 0, body: "claimed"), "NX", "GET", "PX", String(IdempotencyKey.keptMs)],
            key: name, budgetUs: budgetUs)
        if let record = reply.string { _ = try key.answer(in: record) }
    }
}
