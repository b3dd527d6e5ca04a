import Redis
import Services

/// Which body an Idempotency-Key was first used with, where the effects of the request may lie in several slots.
enum KeyClaims {
    private static let budgetUs: Int64 = 2_000_000

    enum Beginning {
        /// Under this id: an own one, or that under which the same request has begun before.
        case goOn(id: String)
        /// The answer that the same request was given.
        case answered(status: Int, body: String)
    }

    /// The id of what is made under a key: `own`, or the one under which the same request has begun before. A key that
    /// comes again after its time makes another thing, under another id.
    /// - Throws: `impossible` when the key was used with another body.
    static func begin(
        _ key: IdempotencyKey?, own: String, _ keys: StockKeys, _ redis: RedisClient
    ) async throws -> Beginning {
        guard let key else { return .goOn(id: own) }
        let name = keys.claim(key)
        let reply = try await redis.send(
            ["SET", name, key.record(status: 0, body: own), "NX", "GET", "PX", String(IdempotencyKey.keptMs)],
            key: name, budgetUs: budgetUs)
        guard let record = reply.string else { return .goOn(id: own) }
        let (status, body) = try key.answer(in: record)
        return status == 0 ? .goOn(id: body) : .answered(status: status, body: body)
    }

    /// The same for what keeps no answer with the key.
    static func id(_ key: IdempotencyKey?, own: String, _ keys: StockKeys, _ redis: RedisClient) async throws -> String
    {
        guard case .goOn(let id) = try await begin(key, own: own, keys, redis) else {
            throw Problem(.internalError, "a key has an answer where none is kept")
        }
        return id
    }

    /// Keeps the answer for those who come again with the key, for as long as it is known.
    static func end(
        _ key: IdempotencyKey, status: Int, body: String, _ keys: StockKeys, _ redis: RedisClient
    ) async throws {
        let name = keys.claim(key)
        _ = try await redis.send(
            ["SET", name, key.record(status: status, body: body), "XX", "KEEPTTL"], key: name, budgetUs: budgetUs)
    }

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
