import Bytes
import Services

@testable import RateLimiting

/// The rules for a request by looking at every rule; specificity by comparing tuples.
enum PlainSearch {
    static func outcome(_ rules: [Rule], _ request: CheckRequest) -> String {
        var enforcing: [(Int, String)] = []
        var shadow: [(Int, String)] = []
        for group in Set(rules.map(\.group)) {
            for mode in Rule.Mode.allCases {
                var best: (order: Int, rank: [Int])?
                for (i, rule) in rules.enumerated() where rule.group == group && rule.mode == mode {
                    guard let rank = rank(rule, request) else { continue }
                    if best == nil || best!.rank.lexicographicallyPrecedes(rank) { best = (i, rank) }
                }
                guard let best, rules[best.order].effect != .unlimited else { continue }
                if mode == .enforce {
                    enforcing.append((best.order, rules[best.order].name))
                } else {
                    shadow.append((best.order, "(\(rules[best.order].name))"))
                }
            }
        }
        let names = (enforcing.sorted { $0.0 < $1.0 } + shadow.sorted { $0.0 < $1.0 }).map(\.1)
        return names.isEmpty ? "no-rule" : names.joined(separator: " ")
    }

    /// A block counts by its length, a name more than any block.
    private static func specificity(_ identifier: String, _ request: CheckRequest) -> Int? {
        let text = identifier.hasPrefix("ip:") ? String(identifier.dropFirst(3)) : identifier
        if let block = AddressBlock(text) {
            return request.address.map { block.contains($0) } == true ? block.bits + 1 : nil
        }
        let name = request.identity.value.string
        return identifier == name || identifier == "\(request.identity.kind.label):\(name)" ? 1000 : nil
    }

    /// Identifier, tier, endpoint (by kind and length), method; nil when the rule does not match.
    private static func rank(_ rule: Rule, _ request: CheckRequest) -> [Int]? {
        var rank = [0, 0, 0, 0, 0]
        let match = rule.match
        if let identifiers = match.identifiers {
            guard let best = identifiers.compactMap({ specificity($0, request) }).max() else { return nil }
            rank[0] = best
        }
        if let tier = match.tier {
            guard tier == request.tier.string else { return nil }
            rank[1] = 1
        }
        if let endpoint = match.endpoint {
            let path = request.endpoint.folded.string
            // Only the four patterns that the random rules are made of.
            switch endpoint {
            case "/a" where path == "/a": rank[2] = 4
            case "/{x}" where path == "/a" || path == "/c": rank[2] = 3
            case "/a/*" where path == "/a" || path.hasPrefix("/a/"): rank[2] = 2
            case "/*" where path.hasPrefix("/"): rank[2] = 1
            default: return nil
            }
        }
        if let method = match.method {
            guard method == request.method.string else { return nil }
            rank[3] = 1
        }
        return rank
    }
}
