import Bytes
import JSON
import Services

extension Rule {
    /// Makes a rule of what a client sent.
    init(_ draft: RuleDraft, id: String, name: String, version: Int, generation: Int, createdAtUs: Int64, nowUs: Int64)
    {
        self.init(
            id: id, name: name, version: version, generation: generation, isEnabled: draft.isEnabled, mode: draft.mode,
            group: draft.group ?? name, effect: draft.effect, match: draft.match, per: draft.per,
            onStoreFailure: draft.onStoreFailure, idleBurst: draft.idleBurst, createdAtUs: createdAtUs,
            updatedAtUs: nowUs)
    }

    /// The rule as a client sees it, and as it can be sent back.
    public var json: JSONValue { .object(members) }

    /// The rule as it is stored.
    var stored: JSONValue { json }

    /// Reads a stored rule.
    init(stored value: JSONValue) throws(Problem) {
        guard case .object(var members) = value else { throw Problem(.internalError, "a stored rule is no object") }
        let take = { (name: String) -> JSONValue? in members.first { $0.key == name }?.value }
        guard case .string(let id)? = take("id"), case .int(let version)? = take("version"),
            case .int(let generation)? = take("generation")
        else { throw Problem(.internalError, "a stored rule has no id, version or generation") }
        let time = { (name: String) -> Int64 in
            guard case .string(let text)? = take(name) else { return 0 }
            return text.withByteView { Timestamp(rfc3339: $0) }?.us ?? 0
        }
        let (createdAtUs, updatedAtUs) = (time("createdAt"), time("updatedAt"))
        // What earlier versions kept beside.
        members.removeAll { $0.key == "hasRefunds" }
        let draft = try RuleDraft(.object(members), isStored: true)
        self.init(
            draft, id: id, name: draft.name ?? id, version: version, generation: generation,
            createdAtUs: createdAtUs, nowUs: updatedAtUs)
    }

    private var members: [JSONValue.Member] {
        var members: [JSONValue.Member] = [
            .init("id", .string(id)), .init("name", .string(name)), .init("version", .int(version)),
            .init("generation", .int(generation)),
            .init("enabled", .bool(isEnabled)), .init("mode", .string(mode.rawValue)), .init("group", .string(group)),
        ]
        switch effect {
        case .allow: members.append(.init("action", .string("allow")))
        case .deny: members.append(.init("action", .string("deny")))
        case .unlimited: members += [.init("action", .string("limit")), .init("unlimited", .bool(true))]
        case .limit(let strategy):
            members += [.init("action", .string("limit")), .init("strategy", .string(strategy.name.rawValue))]
            members += strategy.members
            if let idleBurst { members.append(.init("burst", .int(idleBurst))) }
        }
        members.append(.init("match", match.json))
        members.append(.init("per", .array(per.map { .string($0.rawValue) })))
        members.append(.init("onStoreFailure", .string(onStoreFailure.rawValue)))
        members.append(.init("createdAt", .string(Timestamp(us: createdAtUs).rfc3339)))
        members.append(.init("updatedAt", .string(Timestamp(us: updatedAtUs).rfc3339)))
        return members
    }
}

extension Strategy {
    fileprivate var members: [JSONValue.Member] {
        var members: [JSONValue.Member] = [.init("limit", .int(limit))]
        if let windowMs {
            let isPlain = windowMs >= RuleDraft.leastPlainMs
            members.append(.init("window", isPlain ? .int(windowMs) : .string("\(windowMs)ms")))
        }
        switch self {
        case .tokenBucket(_, _, let burst, let initial):
            members.append(.init("burst", .int(burst)))
            if initial != burst { members.append(.init("initial", .int(initial))) }
        case .quota(_, let period, let timeZone):
            members += [.init("period", .string(period.rawValue)), .init("timeZone", .string(timeZone))]
        case .concurrency(_, let maxLeaseMs): members.append(.init("maxLeaseMs", .int(maxLeaseMs)))
        case .slidingWindow, .slidingWindowCounter, .fixedWindow: break
        }
        return members
    }
}

extension Rule.Match {
    fileprivate var json: JSONValue {
        var members: [JSONValue.Member] = []
        if let endpoint { members.append(.init("endpoint", .string(endpoint))) }
        if let method { members.append(.init("method", .string(method))) }
        if let identifiers {
            let texts = identifiers.map { JSONValue.string($0) }
            members.append(.init("identifier", texts.count == 1 ? texts[0] : .array(texts)))
        }
        if let tier { members.append(.init("tier", .string(tier))) }
        if isExact { members.append(.init("exact", .bool(true))) }
        return .object(members)
    }
}
