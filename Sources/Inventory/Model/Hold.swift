import Bytes
import JSON

/// A reservation of one SKU's stock, as Redis has it.
struct Hold: Sendable, Equatable {
    enum Status: String, Sendable {
        case active, waiting, confirmed, cancelled, expired
        /// A line of an order that never came about: to everybody else there is none.
        case void
    }

    /// How much lies where.
    struct Part: Sendable, Equatable {
        var warehouse: String
        var quantity: Int
    }

    var suffix: String
    var status = Status.active
    var parts: [Part]
    var orderID: String?
    /// ms since 1970, as all times here.
    var createdMs: Int
    var expiresMs: Int
    /// When the hold was to end as it was made, if that has been changed since.
    var firstExpiresMs: Int?
    var endedMs: Int?
    var priority = 0
    /// Digest of the request that made it, if that came with a key.
    var request: String?
    /// The reservation over several SKUs that it is a line of.
    var set: String?
    /// What was confirmed of it, if not all, and under which Idempotency-Key.
    var confirmed: [Part]?
    var confirmKey: String?
    /// What it was of as it was made, if that has been changed since.
    var firstParts: [Part]?
    var firstWanted: Int?
    /// The hold that took its place.
    var replacedBy: String?
    /// What one that had to wait for stock wanted altogether; 0 for those that had not to.
    var wanted = 0

    var quantity: Int { parts.reduce(0) { $0 + $1.quantity } }

    init(suffix: String, parts: [Part], orderID: String?, createdMs: Int, expiresMs: Int, priority: Int) {
        self.suffix = suffix
        self.parts = parts
        self.orderID = orderID
        self.createdMs = createdMs
        self.expiresMs = expiresMs
        self.priority = priority
    }

    /// nil for a hash that is no hold.
    init?(suffix: String, _ fields: [String: String]) {
        guard let status = Status(rawValue: fields["status"] ?? ""),
            let created = fields["created"].flatMap({ Int($0) }),
            let expires = fields["expires"].flatMap({ Int($0) })
        else { return nil }
        self.suffix = suffix
        self.status = status
        parts = Hold.parts(fields["allocation"] ?? "")
        orderID = fields["order"]
        createdMs = created
        expiresMs = expires
        firstExpiresMs = fields["firstExpires"].flatMap { Int($0) }
        endedMs = fields["ended"].flatMap { Int($0) }
        priority = fields["priority"].flatMap { Int($0) } ?? 0
        request = fields["request"]
        set = fields["set"]
        confirmed = fields["confirmed"].map(Hold.parts)
        confirmKey = fields["confirmKey"]
        wanted = fields["want"].map(Hold.wanted) ?? 0
        firstParts = fields["firstAllocation"].map(Hold.parts)
        firstWanted = fields["firstWant"].map(Hold.wanted)
        replacedBy = fields["replacedBy"]
    }

    /// `{"want":[{"n":3,…},…]}`.
    private static func wanted(_ text: String) -> Int {
        guard let json = try? text.withByteView({ try JSONValue(parsing: $0) }), case .array(let wants)? = json["want"]
        else { return 0 }
        return wants.reduce(0) { sum, want in if case .int(let n)? = want["n"] { sum + n } else { sum } }
    }

    /// `warehouse-1:3 warehouse-2:1`.
    static func parts(_ text: String) -> [Part] {
        text.split(separator: " ").compactMap { word in
            guard let colon = word.lastIndex(of: ":"), let quantity = Int(word[word.index(after: colon)...]) else {
                return nil
            }
            return Part(warehouse: String(word[..<colon]), quantity: quantity)
        }
    }
}
