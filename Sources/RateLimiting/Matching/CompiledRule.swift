import Bytes
import JSON
import Services
import TimeZones

/// A rule made ready to decide with: everything that does not depend on the request is worked out once.
final class CompiledRule: Sendable {
    let rule: Rule
    /// The rule's place among the compiled ones.
    let index: Int32
    /// nil for rules that only allow, deny or lift.
    let strategy: Strategy?
    let zone: Zone?
    /// A bucket's refill in exact integers; see `Strategy.refill`.
    let refill: (rate: Int, unit: Int)
    /// The endpoint to the letter, for a rule that wants it so: the index knows folded paths only.
    private let exactEndpoint: EndpointPattern?
    /// Whether paths are told apart by case and by a slash at the end.
    let isExact: Bool
    /// Whether an admission takes a lease.
    let takesLease: Bool
    let method: [UInt8]?
    let tier: [UInt8]?
    /// How specific the rule is, but for the rank of its identifier. Of two matching rules of a group the more specific
    /// wins: identifier before tier before endpoint before method.
    let fixedSpecificity: Int
    /// Which part of a request is the tag of its keys: who the rule counts by.
    let subject: Rule.KeyPart
    /// The other parts, which follow in the key.
    let furtherParts: [Rule.KeyPart]
    /// `:<rule id>:<generation>`, the part of a key after its tag.
    let keySuffix: [UInt8]
    /// The beginning of the policy object in answers: `{"id":…,"name":…,"strategy":…,"limit":…,"window":…,"mode":…`.
    let policyJSON: [UInt8]
    /// The rule's name as JSON text, quotes included.
    let nameJSON: [UInt8]
    /// `"name";q=10;w=2`, an item of the RateLimit-Policy header.
    let policyHeader: [UInt8]
    /// `"name"`, the beginning of an item of the RateLimit header.
    let headerName: [UInt8]

    init(_ rule: Rule, index: Int32) {
        self.rule = rule
        self.index = index
        strategy = rule.strategy
        zone = if case .quota(_, _, let name)? = rule.strategy { Zone(identifier: name) } else { nil }
        refill = rule.strategy?.refill ?? (0, 0)
        isExact = rule.match.isExact
        exactEndpoint = rule.match.isExact ? rule.match.endpoint.flatMap { EndpointPattern($0) } : nil
        takesLease = if case .concurrency? = rule.strategy { true } else { false }
        method = rule.match.method.map { [UInt8]($0.utf8) }
        tier = rule.match.tier.map { [UInt8]($0.utf8) }
        let endpoint = rule.match.endpoint.flatMap { EndpointPattern($0) }?.specificity ?? -1
        fixedSpecificity = (tier == nil ? 0 : 1 << 40) + (endpoint + 1) * 2 + (method == nil ? 0 : 1)
        let subject: Rule.KeyPart =
            rule.per.contains(.identifier) ? .identifier : rule.per.contains(.ip) ? .ip : rule.per[0]
        self.subject = subject
        furtherParts = rule.per.filter { $0 != subject }
        keySuffix = [UInt8](":\(KeyText.escaped(rule.id)):\(rule.generation)".utf8)
        let text = ByteBuffer()
        text.append(UInt8(ascii: "\""))
        rule.name.withByteView { text.appendJSON(string: $0) }
        text.append(UInt8(ascii: "\""))
        nameJSON = text.view.array
        policyJSON = CompiledRule.policyJSON(rule)
        let quoted = CompiledRule.headerText(rule)
        headerName = [UInt8](quoted.utf8)
        policyHeader = [UInt8]((quoted + CompiledRule.policyParameters(rule)).utf8)
    }

    /// The same rule at another place among the compiled ones.
    init(_ other: CompiledRule, index: Int32) {
        rule = other.rule
        self.index = index
        strategy = other.strategy
        zone = other.zone
        refill = other.refill
        exactEndpoint = other.exactEndpoint
        isExact = other.isExact
        takesLease = other.takesLease
        method = other.method
        tier = other.tier
        fixedSpecificity = other.fixedSpecificity
        subject = other.subject
        furtherParts = other.furtherParts
        keySuffix = other.keySuffix
        policyJSON = other.policyJSON
        nameJSON = other.nameJSON
        policyHeader = other.policyHeader
        headerName = other.headerName
    }

    /// Whether more than the endpoint and the identity decide if the rule matches.
    var isConditional: Bool { method != nil || tier != nil || exactEndpoint != nil }

    /// Whether the rule is for a request whose endpoint and identity it is for.
    func takes(_ request: CheckRequest) -> Bool {
        if let method, !method.withByteView({ $0 == request.method }) { return false }
        if let tier, !tier.withByteView({ $0 == request.tier }) { return false }
        if let exactEndpoint, !exactEndpoint.matches(request.endpoint.written) { return false }
        return true
    }

    private static func policyJSON(_ rule: Rule) -> [UInt8] {
        let text = ByteBuffer()
        var json = JSONWriter(text)
        json.beginObject()
        json.field("id", rule.id)
        json.field("name", rule.name)
        if let strategy = rule.strategy {
            json.field("strategy", strategy.name.rawValue)
            json.field("limit", strategy.capacity)
            if let windowMs = strategy.windowMs { json.field("window", windowMs) }
            if case .quota(_, let period, _) = strategy { json.field("period", period.rawValue) }
        }
        json.field("mode", rule.mode.rawValue)
        return text.view.array
    }

    /// The name as a structured-field string; a name that such a string cannot hold gives way to the id.
    private static func headerText(_ rule: Rule) -> String {
        let isPlain = rule.name.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }
        return "\"\(isPlain ? rule.name : rule.id)\""
    }

    private static func policyParameters(_ rule: Rule) -> String {
        guard let strategy = rule.strategy else { return "" }
        let quota = ";q=\(min(strategy.capacity, DecisionHeaders.largestInteger))"
        switch strategy {
        case .quota(_, let period, _): return quota + ";w=\(period.nominalSeconds)"
        case .concurrency: return quota + ";qu=\"concurrent-requests\""
        case .tokenBucket(_, let windowMs, let burst, _):
            // The time in which a whole bucket comes back: `burst` in the rule's own window would be another rate.
            let (rate, unit) = strategy.refill ?? (burst, windowMs * 1000)
            let (units, overflow) = burst.multipliedReportingOverflow(by: unit)
            let us = overflow ? Int.max : units.dividedRoundingUp(by: rate)
            return quota + ";w=\(us.dividedRoundingUp(by: 1_000_000))"
        case .slidingWindow(_, let windowMs), .slidingWindowCounter(_, let windowMs), .fixedWindow(_, let windowMs):
            return quota + ";w=\(windowMs.dividedRoundingUp(by: 1000))"
        }
    }
}

extension Period {
    /// The usual length, for headers that want one.
    var nominalSeconds: Int {
        switch self {
        case .hour: 3600
        case .day: 86_400
        case .week: 604_800
        case .month: 2_592_000
        case .year: 31_536_000
        }
    }
}
