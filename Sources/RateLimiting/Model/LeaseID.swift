import Bytes
import Services

/// Names a lease to its holder: `<member>.<key>`, the key in characters that a URL's path carries as they are.
///
/// With the member and the key any replica finds the lease; the rule in the key must still be a concurrency rule, so
/// that an invented id reaches nothing else.
struct LeaseID: Equatable {
    /// The member of the key's sorted set.
    let member: String
    /// The key without the service's prefix: `{user:42}:uploads:17`.
    let key: String

    init(member: String, key: String) {
        self.member = member
        self.key = key
    }

    init?(text: String) {
        let parts = text.split(separator: ".", maxSplits: 1).map(String.init)
        guard parts.count == 2, parts[0].utf8.count <= 32,
            parts[0].utf8.allSatisfy({ $0.isDigit || $0 == 0x2D || (0x61...0x66).contains($0) })
        else { return nil }
        member = parts[0]
        key = LeaseID.replacing(parts[1], [0x28: 0x7B, 0x29: 0x7D, 0x2A: 0x25])
        guard key.hasPrefix("{"), key.contains("}:") else { return nil }
    }

    var text: String { member + "." + LeaseID.replacing(key, [0x7B: 0x28, 0x7D: 0x29, 0x25: 0x2A]) }

    /// The rule and the generation that the key names.
    var rule: (id: String, generation: Int)? {
        guard let end = key.utf8.firstIndex(of: 0x7D) else { return nil }
        let parts = key[end...].split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count >= 3, let generation = Int(parts[2]) else { return nil }
        return (String(parts[1]), generation)
    }

    private static func replacing(_ text: String, _ map: [UInt8: UInt8]) -> String {
        String(decoding: text.utf8.map { map[$0] ?? $0 }, as: UTF8.self)
    }
}
