import Redis

/// What became of one operation on a SKU.
struct StockReply: Sendable, Equatable {
    /// Redis's clock, ms since 1970.
    var nowMs: Int
    var productID: String
    /// What the operation was answered with: `held`, `short`, `done`, `same`, `state`, `missing`, `unknown` and so on; see
    /// the functions in `lua/inventory`.
    var word: String
    /// What stands behind the word.
    var rest: [String]

    /// `rest` as names and values.
    var fields: [String: String] {
        var fields: [String: String] = [:]
        for i in stride(from: 0, to: rest.count - 1, by: 2) { fields[rest[i]] = rest[i + 1] }
        return fields
    }

    /// The number at `index` of `rest`; 0 where there is none.
    func int(_ index: Int) -> Int { index < rest.count ? Int(rest[index]) ?? 0 : 0 }
}

/// The reply of `commit`: what holds for all operations of a call, and an answer to each.
struct CommitReply {
    var nowMs: Int
    /// When the first hold of the SKU ends, ms since 1970; nil when there is none.
    var nextExpiryMs: Int?
    /// How many events wait to be told.
    var outbox: Int
    var answers: [StockReply]

    /// nil when the script asks to be called again.
    init?(_ reply: RedisReply) throws(RedisError) {
        if reply.string == "more" { return nil }
        guard case .array(let elements) = reply, let head = elements.first?.strings, head.count == 5,
            let nowMs = Int(head[0])
        else { throw .unexpectedReply("commit") }
        self.nowMs = nowMs
        nextExpiryMs = Int(head[1])
        outbox = Int(head[2]) ?? 0
        answers = []
        answers.reserveCapacity(elements.count - 1)
        for element in elements.dropFirst() {
            guard let words = element.strings, let word = words.first else { throw .unexpectedReply("commit") }
            answers.append(StockReply(nowMs: nowMs, productID: head[3], word: word, rest: Array(words.dropFirst())))
        }
    }
}
