import Bytes
import JSON

/// How an order over SKUs in several slots stands, as `qm:order:{id}` has it.
struct OrderRecord: Sendable {
    enum State: String, Sendable, CaseIterable {
        /// Its lines are reserved, one after the other.
        case holding
        /// One could not be had: those that were are given back. Then it is `refused`, and as good as never asked for.
        case undoing, refused
        case held
        /// All lines are pinned, then taken.
        case confirming, confirmed
        case cancelling, cancelled
        /// Its lines get another end.
        case extending
        /// A line has lapsed, and so do all others.
        case expiring, expired

        var isAtRest: Bool {
            switch self {
            case .refused, .held, .confirmed, .cancelled, .expired: true
            case .holding, .undoing, .confirming, .cancelling, .extending, .expiring: false
            }
        }

        /// Whether there is a reservation to be seen.
        var isThere: Bool {
            switch self {
            case .holding, .undoing, .refused: false
            default: true
            }
        }
    }

    let suffix: String
    let state: State
    /// Grows with every step of the order.
    let step: Int
    /// When it came to be in its state, and when this was read (ms since 1970, the clock of its node).
    let sinceMs: Int
    let nowMs: Int
    let orderID: String?
    let request: String?
    let createdMs: Int
    let expiresMs: Int
    let firstExpiresMs: Int?
    let skus: [SKU]
    let actor: String
    let key: String?
    let priority: Int
    /// Of each SKU what is wanted while it is `holding` (`want`, `kept`), and what is to be taken while it is `confirming`.
    let lines: [JSONValue]
    let parts: [JSONValue]?
    /// The new end while it is `extending`.
    let untilMs: Int?
    /// Why it was refused: `short 1 5` (the line's place, how much could be had), `unknown 0`, `past`, `other`.
    let refusal: [String]

    /// - Parameter words: `order_step`'s, from the time on. nil where there is no order.
    init?(_ suffix: String, _ words: [String]) {
        let fields = StockReply(nowMs: 0, productID: "", word: "", rest: Array(words.dropFirst())).fields
        func int(_ name: String) -> Int? { fields[name].flatMap { Int($0) } }
        func elements(_ name: String) -> [JSONValue]? {
            guard let text = fields[name], case .array(let all)? = text.withByteView({ try? JSONValue(parsing: $0) })
            else { return nil }
            return all
        }
        guard let state = fields["state"].flatMap({ State(rawValue: $0) }), let step = int("step") else { return nil }
        self.suffix = suffix
        self.state = state
        self.step = step
        sinceMs = int("since") ?? 0
        nowMs = words.first.flatMap { Int($0) } ?? 0
        orderID = fields["order"]
        request = fields["request"]
        createdMs = int("created") ?? 0
        expiresMs = int("expires") ?? 0
        firstExpiresMs = int("firstExpires")
        skus = (fields["skus"] ?? "").split(separator: " ").compactMap { SKU(code: String($0)) }
        actor = fields["actor"] ?? ""
        key = fields["key"]
        priority = int("priority") ?? 0
        lines = elements("lines") ?? []
        parts = elements("parts")
        untilMs = int("until")
        refusal = (fields["refusal"] ?? "").split(separator: " ").map(String.init)
    }

    /// What its lines belong to.
    var set: String { "order~" + suffix }
}
