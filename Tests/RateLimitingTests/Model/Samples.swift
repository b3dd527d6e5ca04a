import Bytes
import JSON
import Services

@testable import RateLimiting

/// Rules and requests for tests, as clients write them.
enum Samples {
    static func draft(_ json: String) throws -> RuleDraft {
        try RuleDraft(try json.withByteView { try JSONValue(parsing: $0) })
    }

    /// A rule with the id of its name; without further members a bucket of 10.
    /// - Parameter members: JSON members beside the name, `"limit":5,…`; a strategy is added when none is there.
    static func rule(_ name: String, _ members: String = "", generation: Int = 1) throws -> Rule {
        let limits =
            members.contains("\"strategy\"") || members.contains("\"action\"") || members.contains("\"unlimited\"")
            ? "" : #","strategy":"token_bucket","limit":10,"window":"1s""#
        let rest = members.isEmpty ? "" : "," + members
        let draft = try draft("{\"name\":\"\(name)\"\(limits)\(rest)}")
        return Rule(
            draft, id: name, name: name, version: 1, generation: generation, createdAtUs: 1_000_000, nowUs: 1_000_000)
    }

    /// Rules in the order given: that of their creation.
    static func set(_ rules: [Rule]) -> RuleSet {
        var ordered = rules
        for i in ordered.indices { ordered[i].createdAtUs = Int64(i + 1) * 1000 }
        return RuleSet(
            revision: 1, lastChange: "1-0", storedBytes: ordered.reduce(0) { $0 + $1.stored.text().utf8.count },
            rules: ordered)
    }

    static func policies(_ rules: [Rule], enforcingCount: Int? = nil) -> PolicySet {
        PolicySet(rules: set(rules).compiled, enforcingCount: enforcingCount ?? rules.count)
    }
}

/// Requests whose texts live as long as this.
final class RequestTexts {
    private let arena = ByteArena()

    func view(_ text: String) -> ByteView { text.withByteView { arena.copy($0) } }

    func endpoint(_ text: String) -> Endpoint {
        (try? EndpointPaths().endpoint(view(text), field: "endpoint", in: arena)) ?? .none
    }

    func request(
        id: String? = nil, user: String? = nil, key: String? = nil, ip: String? = nil, endpoint: String = "",
        method: String = "", tier: String = "", cost: Int = 1
    ) -> CheckRequest {
        let address = ip.map { IPAddress($0)! }
        let identity: Identity
        if let id {
            identity = Identity(kind: .id, value: view(id))
        } else if let key {
            let hashed = ByteBuffer()
            key.withByteView { Identity.appendHashedKey($0, to: hashed) }
            identity = Identity(kind: .key, value: view(hashed.view.string))
        } else if let user {
            identity = Identity(kind: .user, value: view(user))
        } else {
            identity = Identity(kind: .ip, value: view(address?.clientText() ?? "unknown"))
        }
        return CheckRequest(
            identity: identity, address: address, endpoint: self.endpoint(endpoint), method: view(method),
            tier: view(tier), cost: cost)
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014), so that a failure's seed replays it.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
    mutating func element<T>(_ array: [T]) -> T { array[below(array.count)] }
}
