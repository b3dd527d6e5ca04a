import Redis

/// How safe an acknowledged effect is, as whoever asked for it said: with Redis's own persistence, at replicas as well, or
/// on disk.
public enum Durability: String, Sendable, CaseIterable {
    case memory, replicated, fsync

    /// Refuses what this Redis has no means for, and notes who is the master. To be called before anything is written.
    /// - Parameter effects: what is going to be written, a part for each slot.
    /// - Returns: what is to be confirmed once it is written.
    public func prepare(_ effects: [DurableEffect], in context: ServiceContext) async throws -> DurabilityPromise {
        let waits = context.durabilityWaits
        var asks: [DurabilityWaits.Ask] = []
        if self == .memory { return DurabilityPromise(waits: waits, asks: []) }
        for effect in effects {
            let facts = try await waits.facts(marker: effect.marker)
            var kind = DurabilityWaits.Kind.replicated
            if self == .fsync {
                kind = facts.canWaitForFile ? .fsync : .answered
                if kind == .answered { try await Durability.checkSyncsAlways(facts, context, effect.marker) }
            }
            asks.append(.init(effect: effect, reign: facts.reign, kind: kind))
        }
        return DurabilityPromise(waits: waits, asks: asks)
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

/// What is to be safe of one slot.
public struct DurableEffect: Sendable {
    /// A field of a hash that is there if, and only if, the effect is.
    public struct Proof: Sendable {
        let key: String
        let field: String
        /// Values that are none.
        let besides: Set<String>

        public init(key: String, field: String, besides: Set<String> = []) {
            (self.key, self.field, self.besides) = (key, field, besides)
        }
    }

    /// A key of the slot, which is written for a minute.
    let marker: String
    /// The slot's guard: a key that never exists, so that a call which names it is refused while the slot is on the move.
    let never: String
    /// nil: whoever confirms names the server that wrote it.
    let proof: Proof?

    public init(marker: String, never: String, proof: Proof?) {
        (self.marker, self.never, self.proof) = (marker, never, proof)
    }
}

/// What is owed to whoever asked for an effect to be safe.
public struct DurabilityPromise {
    let waits: DurabilityWaits
    let asks: [DurabilityWaits.Ask]

    /// Waits until what has been written since `prepare` is as safe as was asked for. To be called for a repeated request,
    /// too: that its effect is there does not mean that it is safe.
    ///
    /// The effect may have been written by another loop, which may know of another master than this one does, or where a
    /// slot was on its way elsewhere. So nothing is promised but what the server that is waited for is seen to have: it has
    /// the proof, or it is the one that wrote.
    /// - Parameter servers: the run ids of those that wrote what has no proof.
    /// - Throws: `unavailable` when it is not in time, or when another server has become the master meanwhile, which may
    ///   never have heard of the effect; the effect may stand all the same.
    public func confirm(writtenBy servers: [String] = []) async throws {
        if asks.isEmpty { return }
        switch areBy(servers) ? await waits.wait(asks) : .otherMaster {
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

    private func areBy(_ servers: [String]) -> Bool {
        asks.allSatisfy { ask in
            ask.effect.proof != nil
                || !servers.isEmpty && servers.allSatisfy { !$0.isEmpty && ask.reign.hasPrefix($0 + "/") }
        }
    }
}
