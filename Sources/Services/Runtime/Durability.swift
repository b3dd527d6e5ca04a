import Redis

/// How safe an acknowledged effect is, as whoever asked for it said: with Redis's own persistence, at replicas as well, or
/// on disk.
public enum Durability: String, Sendable, CaseIterable {
    case memory, replicated, fsync

    /// Refuses what this Redis has no means for, and notes who is the master. To be called before anything is written.
    /// - Parameter marker: a key of the effect's slot, which is written for a minute.
    /// - Returns: what is to be confirmed once the effect is written.
    public func prepare(marker: String, in context: ServiceContext) async throws -> DurabilityPromise {
        let waits = context.durabilityWaits
        switch self {
        case .memory: return DurabilityPromise(work: nil)
        case .replicated:
            let facts = try await waits.facts(marker: marker)
            return DurabilityPromise(
                work: (waits, .init(marker: marker, reign: facts.reign, kind: .replicated)))
        case .fsync:
            let facts = try await waits.facts(marker: marker)
            if facts.canWaitForFile {
                return DurabilityPromise(
                    work: (waits, .init(marker: marker, reign: facts.reign, kind: .fsync)))
            }
            try await Durability.checkSyncsAlways(facts, context, marker)
            // Redis answers only what it has on disk already.
            return DurabilityPromise(work: nil)
        }
    }

    /// Before WAITAOF only `appendfsync always` is a promise, and only CONFIG tells of it.
    private static func checkSyncsAlways(
        _ facts: ServerFacts, _ context: ServiceContext, _ marker: String
    ) async throws {
        guard facts.appendsToFile else {
            throw Problem.impossible("durability", "needs a Redis that appends to a file (appendonly yes)")
        }
        guard !facts.hasWaitForFile else {
            throw Problem(.unavailable, "the store's file cannot be written now", retryAfterS: 1)
        }
        let reply = await Durability.configuredSync(context, marker)
        if case .failure(.server(code: "NOPERM", _)) = reply {
            throw Problem.impossible(
                "durability",
                "needs Redis 7.2 or newer, or appendfsync always, which cannot be seen here: Redis \(facts.version) has no "
                    + "WAITAOF, and its user may not call CONFIG GET")
        }
        guard try reply.get().strings?.last == "always" else {
            throw Problem.impossible(
                "durability",
                "needs Redis 7.2 or newer, or one with appendfsync always; this is \(facts.version) without it")
        }
    }

    private static func configuredSync(
        _ context: ServiceContext, _ marker: String
    ) async -> Result<RedisReply, RedisError> {
        do {
            return .success(
                try await context.redis.send(["CONFIG", "GET", "appendfsync"], key: marker, budgetUs: 2_000_000))
        } catch { return .failure(error) }
    }
}

/// What is owed to whoever asked for an effect to be safe.
public struct DurabilityPromise {
    let work: (waits: DurabilityWaits, ask: DurabilityWaits.Ask)?

    /// Waits until what has been written since `prepare` is as safe as was asked for. To be called for a repeated request,
    /// too: that its effect is there does not mean that it is safe.
    /// - Throws: `unavailable` when it is not in time, or when another server has become the master meanwhile, which may
    ///   never have heard of the effect; the effect may stand all the same.
    public func confirm() async throws {
        guard let work else { return }
        switch await work.waits.wait(work.ask) {
        case .safe: return
        case .late:
            throw Problem(.unavailable, "it is stored, but not yet as safe as asked for; it may stand", retryAfterS: 1)
        case .otherMaster:
            throw Problem(
                .unavailable,
                "it was stored, but the store's master changed before it was as safe as asked for; it may stand, or be lost",
                retryAfterS: 1)
        }
    }
}
