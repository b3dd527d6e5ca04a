import Bytes
import JSON
import Services

extension RateLimitService {
    /// A row per rule, for reports: what it is, whom it is for, what it allows.
    ///
    /// `{rule, enabled, mode, group, action, strategy, limit, windowMs, endpoint, method, identifiers (how many it names),
    /// tier, per, version, updatedAt}`; what a rule does not have is absent.
    public static func ruleFigures(_ context: ServiceContext) async throws -> [JSONValue] {
        try await RuleStore(context: context).read(budgetUs: 5_000_000).rules.map(row)
    }

    private static func row(_ rule: Rule) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("rule", .string(rule.name)), .init("enabled", .bool(rule.isEnabled)),
            .init("mode", .string(rule.mode.rawValue)), .init("group", .string(rule.group)),
        ]
        switch rule.effect {
        case .allow: members.append(.init("action", .string("allow")))
        case .deny: members.append(.init("action", .string("deny")))
        case .unlimited: members.append(.init("action", .string("unlimited")))
        case .limit(let strategy):
            members += [
                .init("action", .string("limit")), .init("strategy", .string(strategy.name.rawValue)),
                .init("limit", .int(strategy.limit)),
            ]
            if let windowMs = strategy.windowMs { members.append(.init("windowMs", .int(windowMs))) }
        }
        if let endpoint = rule.match.endpoint { members.append(.init("endpoint", .string(endpoint))) }
        if let method = rule.match.method { members.append(.init("method", .string(method))) }
        if let identifiers = rule.match.identifiers { members.append(.init("identifiers", .int(identifiers.count))) }
        if let tier = rule.match.tier { members.append(.init("tier", .string(tier))) }
        return .object(
            members + [
                .init("per", .string(rule.per.map(\.rawValue).joined(separator: " "))),
                .init("version", .int(rule.version)),
                .init("updatedAt", .string(Timestamp(us: rule.updatedAtUs).rfc3339)),
            ])
    }
}
